"""Claims on raw gaze: two human coders, and detectors against them."""

from typing import TYPE_CHECKING

from irworks.claims import Context, Evidence, verdict_from
from recgaze.claims.paper import CLAIMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from recgaze.gaze_files import CodedRecording

STIMULI = {"img": "images", "dots": "moving dots", "video": "video"}
# Andersson et al. (2017), as recomputed by Dar et al. (2021): fixations, saccades, post-saccadic oscillations.
CODERS = {"img": (0.84, 0.91, 0.76), "dots": (0.65, 0.81, 0.62), "video": (0.65, 0.87, 0.65)}
# REMoDNaV: fixations on images against MN and RA as published (Dar et al. 2021); fixation or pursuit against MN as
# measured with its version 1.1.2.
REMODNAV = {"MN": 0.52, "RA": 0.55}
REMODNAV_SLOW = {"img": 0.827, "dots": 0.797, "video": 0.843}


@CLAIMS.claim(
    id="coder-agreement",
    says="Two expert coders of the same gaze agree to a known degree.",
    where="Andersson et al. (2017); Dar et al. (2021)",
    paper="Kappas of fixations, saccades, oscillations: .84 .91 .76 (images); .65 .81 .62 (dots); .65 .87 .65 (video)",
    rule="All nine of Cohen's kappas equal the published ones after rounding to two decimals. Partly if some do.",
    data=("lund2013",),
    cost=1,
    seeds={"smoke": 1, "small": 1, "full": 1},
)
def coder_agreement(ctx: Context) -> Evidence:
    """Nine kappas."""
    import pandas as pd

    from recgaze.events import Kind, kappa

    kinds = {"fixation": Kind.FIXATION, "saccade": Kind.SACCADE, "oscillation": Kind.PSO}
    rows, equal, found = [], {}, {}
    for stimulus, name in STIMULI.items():
        recordings = _recordings(ctx, stimulus)
        for (what, kind), published in zip(kinds.items(), CODERS[stimulus], strict=True):
            agreement = kappa(_coded(recordings, "MN"), _coded(recordings, "RA"), kind)
            found[f"{stimulus}_{what}"] = agreement
            equal[f"{stimulus} {what}"] = round(agreement, 2) == published
            rows.append({"stimulus": name, "event": what, "published": published, "measured": agreement})
    table = pd.DataFrame(rows)
    return Evidence(
        measured=f"{sum(equal.values())} of 9 equal the published kappas; "
        + ", ".join(f"{agreement:.3f}" for agreement in found.values()),
        verdict=verdict_from(equal),
        values={"equal": sum(equal.values())} | found,
        table=table,
    )


@CLAIMS.claim(
    id="detector-agreement",
    says="(Ours.) A plain velocity threshold agrees with the coders on fixations where nothing moves.",
    where="Against Andersson et al. (2017) and REMoDNaV (Dar et al. 2021)",
    paper="REMoDNaV on images: fixation kappa .52 (MN), .55 (RA); coders among themselves .84",
    rule=(
        "I-VT on images: fixation kappa (1) at least .80 against MN and .72 against RA at library defaults and (2) "
        "with the threshold that the recordings of other people chose; (3) fixation or pursuit, against MN: at least "
        "REMoDNaV's on images; (4) on moving dots and video likewise. Reproduced if all hold, partly if some."
    ),
    data=("lund2013",),
    cost=1,
    seeds={"smoke": 1, "small": 1, "full": 1},
)
def detector_agreement(ctx: Context) -> Evidence:
    """I-VT and the adaptive detector, beside published figures."""
    import numpy as np
    import pandas as pd

    from recgaze import events
    from recgaze.events import Kind, kappa

    slow = (Kind.FIXATION, Kind.PURSUIT)
    values: dict[str, float] = {}
    rows = []
    for stimulus, name in STIMULI.items():
        recordings = _recordings(ctx, stimulus)
        made = {
            "I-VT": [events.ivt(one.gaze).labels(len(one.gaze)) for one in recordings],
            "adaptive": [events.adaptive(one.gaze).labels(len(one.gaze)) for one in recordings],
            "I-DT": [events.idt(one.gaze).labels(len(one.gaze)) for one in recordings],
        }
        for detector, labels in made.items():
            found = np.concatenate(labels)
            row: dict[str, object] = {"stimulus": name, "detector": detector}
            for coder in ("MN", "RA"):
                truth = _coded(recordings, coder)
                row[f"fixation {coder}"] = kappa(found, truth, Kind.FIXATION)
                row[f"saccade {coder}"] = kappa(found, truth, Kind.SACCADE)
                row[f"fixation or pursuit {coder}"] = kappa(found, truth, slow)
            rows.append(row)
            values[f"{stimulus}_{detector.lower().replace('-', '')}_slow"] = float(str(row["fixation or pursuit MN"]))
        if stimulus == "img":
            values |= {f"ivt_{coder.lower()}": float(str(rows[-3][f"fixation {coder}"])) for coder in ("MN", "RA")}
            values |= _held_out(recordings)
    checks = {
        "defaults": values["ivt_mn"] >= 0.80 and values["ivt_ra"] >= 0.72,
        "threshold chosen by others": values["held_out_mn"] >= 0.80 and values["held_out_ra"] >= 0.72,
        "merged, images": values["img_ivt_slow"] >= REMODNAV_SLOW["img"],
        "merged, moving": all(values[f"{one}_ivt_slow"] >= REMODNAV_SLOW[one] for one in ("dots", "video")),
    }
    table = pd.DataFrame(rows)
    return Evidence(
        measured=(
            f"Fixation kappa of I-VT on images {values['ivt_mn']:.3f} (MN) and {values['ivt_ra']:.3f} (RA), with a "
            f"threshold chosen on other people {values['held_out_mn']:.3f} and {values['held_out_ra']:.3f}; fixation "
            f"or pursuit {values['img_ivt_slow']:.3f}, dots {values['dots_ivt_slow']:.3f}, video "
            f"{values['video_ivt_slow']:.3f} (REMoDNaV .827, .797, .843)"
        ),
        verdict=verdict_from(checks),
        values=values,
        table=table,
        notes=(
            "REMoDNaV's low kappa for fixations on images is mostly its pursuit class; with pursuit counted as "
            "fixation it is better than I-VT on moving dots and video, it is better than ours in saccades (.78 on "
            "images), and it alone labels pursuit. The adaptive detector's settings were settled on these recordings."
        ),
    )


def _held_out(recordings: "list[CodedRecording]") -> dict[str, float]:
    import numpy as np

    from recgaze.events import held_out_labels, kappa

    out = {}
    for coder in ("MN", "RA"):
        labelled = [(one.gaze, one.labels[coder]) for one in recordings]
        labels, _ = held_out_labels(labelled, groups=[one.person for one in recordings])
        out[f"held_out_{coder.lower()}"] = kappa(np.concatenate(labels), _coded(recordings, coder))
    return out


def _recordings(ctx: Context, stimulus: str) -> "list[CodedRecording]":
    from recgaze.gaze_files import read_coded

    return read_coded(ctx.data("lund2013") / stimulus)


def _coded(recordings: "list[CodedRecording]", coder: str) -> "NDArray[np.int64]":
    import numpy as np

    return np.concatenate([np.asarray(one.labels[coder], dtype=np.int64) for one in recordings])
