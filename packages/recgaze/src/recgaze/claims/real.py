"""Claims on the published data files, from the folder that the user names with `--option recgaze=FOLDER`."""

from irworks.claims import Context, Evidence, verdict_from
from recgaze.claims.paper import CLAIMS


@CLAIMS.claim(
    id="published-counts",
    says="87 users and 3,477 interactions are logged.",
    where="Abstract",
    paper="87 users, 3,477 interactions",
    rule=(
        "In the published files: (1) 87 users; (2) 3,477 final selections; (3) the three screens whose click is "
        "missing, and (4) the seven failed direct searches are those that the data's README names. Reproduced if all "
        "hold, partly if some."
    ),
    cost=2,
    seeds={"smoke": 1, "small": 1, "full": 1},
)
def published_counts(ctx: Context) -> Evidence:
    """Counts, and known gaps."""
    from recgaze import study
    from recgaze.claims.worlds import published

    data = published(ctx)
    screens = data.screens
    lost = screens[~screens["has_click"]]
    failed = screens[screens["failed_search"]]
    pairs = [set(zip(part["user"], part["task"].astype(int), strict=True)) for part in (lost, failed)]
    checks = {
        "users": len(data.users) == 87,
        "interactions": len(data.clicks) == 3_477,
        "lost clicks": pairs[0] == set(study.LOST_CLICKS),
        "failed searches": pairs[1] == set(study.FAILED_SEARCHES),
    }
    return Evidence(
        measured=(
            f"{len(data.users)} users, {len(data.clicks):,} interactions; {len(lost)} screens without a click, "
            f"{len(failed)} failed searches"
        ),
        verdict=verdict_from(checks),
        values={"users": len(data.users), "interactions": len(data.clicks), "lost": len(lost), "failed": len(failed)},
    )


@CLAIMS.claim(
    id="published-browsing",
    says="Gaze on carousels shows a golden triangle and an F-pattern, an L-pattern before a click; swipes change it.",
    where="Abstract; arXiv 2604.21019, abstract",
    paper="Golden triangle or F-pattern; F only vertically over swipes; L-pattern given a click; hypothesis violated",
    rule=(
        "Free browsing in the published files, fixations by the closest rule. User-bootstrap intervals: (1) looks in "
        "the golden triangle above uniform; (2) 'F' on the first page; (3) no fall to the right on swiped pages; (4) "
        "'L' before the click. (5) Examination hypothesis violated at the 5% level, by a conditional logit of the "
        "click among the posters looked at, looks at clicked arrows left out, films taken for drawn: variance from "
        "whole users and whole screens. Reproduced if all hold, partly if some."
    ),
    cost=2,
    seeds={"smoke": 1, "small": 1, "full": 1},
)
def published_browsing(ctx: Context) -> Evidence:
    """The browsing measures of the published gaze."""
    from recgaze.browse import choice_sets, examination_hypothesis, f_pattern, golden_triangle, l_pattern, tally
    from recgaze.claims.worlds import published

    rng = ctx.rng(0)
    data = published(ctx).task("free")
    impressions = data.impressions()
    sets = choice_sets(impressions, data.fixations(), data.click_events())
    counted = tally(impressions).resample(rng, 2000)
    triangle, first, swiped = golden_triangle(counted), f_pattern(counted), f_pattern(counted, part="swiped")
    way, test = l_pattern(counted), examination_hypothesis(sets, rng=rng, films="drawn")
    checks = {
        "triangle": triangle.verdict == "more than uniform",
        "F": first.verdict == "F",
        "vertical only over swipes": not swiped.beta_column.interval.high < 0,
        "L": way.verdict == "L",
        "examination hypothesis": test.verdict == "violated",
    }
    return Evidence(
        measured=(
            f"Golden triangle {triangle}; first page {first}; swiped pages {swiped}; way to the click {way}; "
            f"examination hypothesis {test}"
        ),
        verdict=verdict_from(checks),
        values={
            "triangle": triangle.share.interval.estimate,
            "row": first.beta_row.interval.estimate,
            "column": first.beta_column.interval.estimate,
            "swiped_column": swiped.beta_column.interval.estimate,
            "p_value": test.p_value,
        },
    )


@CLAIMS.claim(
    id="published-models",
    says="On the published data OEPBM predicts clicks better than RCPBM, and RCPBM better than CPBM.",
    where="arXiv 2602.16541, abstract",
    paper="OEPBM best in likelihood",
    rule=(
        "Free browsing in the published files, attraction of user x genre, 5 folds of screens, regularisation chosen "
        "inside: (1) OEPBM above RCPBM and (2) RCPBM above CPBM in held-out log-likelihood a cell (lower ends of "
        "user-bootstrap intervals of the differences above 0). Reproduced if both hold, partly if one."
    ),
    cost=8,
    seeds={"smoke": 1, "small": 1, "full": 1},
)
def published_models(ctx: Context) -> Evidence:
    """Cross-validated comparison on the published data."""
    from recgaze.claims.worlds import published
    from recgaze.models import CPBM, OEPBM, RCPBM, held_out

    rng = ctx.rng(0)
    impressions = published(ctx).task("free").impressions()
    found = held_out([OEPBM(), RCPBM(), CPBM()], impressions, rng=rng, by="screen")
    first, second = found.difference("OEPBM", "RCPBM", rng), found.difference("RCPBM", "CPBM", rng)
    return Evidence(
        measured=f"Held-out log-likelihood a cell: OEPBM minus RCPBM {first:.5f}, RCPBM minus CPBM {second:.5f}",
        verdict=verdict_from({"OEPBM": first.low > 0, "RCPBM": second.low > 0}),
        values={"oepbm_over_rcpbm_low": first.low, "rcpbm_over_cpbm_low": second.low},
        table=found.frame(rng).reset_index(),
    )
