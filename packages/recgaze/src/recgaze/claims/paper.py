"""The paper, and the set that its claims register in."""

from irworks.claims import ClaimSet, Paper

__all__ = ["CLAIMS"]

CLAIMS = ClaimSet(
    package="recgaze",
    options={"recgaze": "the folder of the published data files"},
    imports=("pandas", "scipy.optimize", "matplotlib.figure"),
    paper=Paper(
        title="RecGaze: The First Eye Tracking and User Interaction Dataset for Carousel Interfaces",
        authors=(
            "Santiago de Leon-Martinez",
            "Jingwei Kang",
            "Robert Moro",
            "Maarten de Rijke",
            "Branislav Kveton",
            "Harrie Oosterhuis",
            "Maria Bielikova",
        ),
        venue="SIGIR 2025",
        url="https://arxiv.org/abs/2504.20792",
        year=2025,
        note=(
            "The published gaze files cannot be downloaded by a program; pass your copy with --option recgaze=FOLDER "
            "and the claims on them run, else they read 'not run'. What is measured without them: 775 real "
            "selections of the carousel click model's study; hand-coded gaze of two coders (lund2013); and simulated "
            "studies on the real screens and layout of RecGaze, whose truth is planted by us: they show that a "
            "method finds what is there and nothing else, not that people browse so. The follow-up papers on "
            "browsing (arXiv 2507.10135), on position-based models (2602.16541) and on the eye-tracking evidence "
            "(2604.21019) were known to us by their abstracts, so directions are compared, not numbers."
        ),
    ),
    about=(
        "Eye tracking and clicks on carousel interfaces, from raw gaze to a decision: fixation detection against human "
        "coders, browsing measures with user-bootstrap intervals, click models with an identifiability check, a "
        "simulator with planted truth."
    ),
)
