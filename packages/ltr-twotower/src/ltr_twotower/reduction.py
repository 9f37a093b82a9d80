"""Remove the bias that many relevances, each estimated from few impressions, put on theta.

One relevance per pair means more parameters the more pairs there are: estimates of theta are then biased in the order
of 1 / (impressions per pair), however long the log (incidental parameters; Neyman and Scott 1948). Firth's (1993)
adjustment of the score, restricted to the relevances, removes the leading term: it acts like one more impression per
pair, half clicked, spread over its ranks in proportion to their information.
"""

import warnings
from dataclasses import replace

import numpy as np
from scipy.special import expit

from ltr_twotower.newton import ConvergenceWarning, Problem, Solution, solve_newton

__all__ = ["solve_bias_reduced"]

_MAX_ROUNDS = 30


def solve_bias_reduced(problem: Problem, *, tolerance: float = 1e-5) -> Solution:
    """Solve the adjusted score equations of a per-pair problem, by repeated Newton solutions.

    Args:
        problem: A problem with one relevance per pair (`X` None), weighted or not.
        tolerance: Stop when no theta moves by more between rounds.

    Returns:
        The solution; `value` is the penalised likelihood of the log itself, `converged` whether the tolerance was met.
    """
    cells = problem.cells
    solution = solve_newton(problem)
    steps, converged = solution.iterations, False
    for _ in range(_MAX_ROUNDS):
        p = expit(problem.logits(solution.v, solution.u))
        curvature = cells.n * p * (1 - p)
        information = np.bincount(cells.pair, curvature, minlength=cells.n_pairs) + problem.l2
        # With weights the variance of a relevance is J / D^2 rather than 1 / D.
        score_variance = np.bincount(cells.pair, cells.n_squared * p * (1 - p), minlength=cells.n_pairs)
        added = curvature * (score_variance / information**2)[cells.pair]
        adjusted = replace(cells, n=cells.n + added, clicks=cells.clicks + added / 2)
        previous = solution
        solution = solve_newton(Problem(adjusted, l2=problem.l2, A=problem.A, b=problem.b), (previous.v, previous.u))
        steps += solution.iterations
        if np.abs(solution.v - previous.v).max() < tolerance:
            converged = True
            break
    if not converged:
        warnings.warn(f"bias reduction stopped after {_MAX_ROUNDS} rounds", ConvergenceWarning, stacklevel=2)
    return replace(solution, value=problem.value(solution.v, solution.u), iterations=steps, converged=converged)
