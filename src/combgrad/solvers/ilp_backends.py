"""Mixed integer programs as models of HiGHS and Gurobi, which are imported only when chosen."""

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from combgrad.errors import SolverUnavailableError
from combgrad.solvers.ilp_program import Program

#: How far the backends may miss a bound, a row or an integer, for costs of at most 1 in size.
TOLERANCE = 1e-9
OPTIMAL, INFEASIBLE, UNBOUNDED, TIME_LIMIT = "optimal", "infeasible", "unbounded", "time limit"


class Backend(Protocol):
    """A model of one program, built once, whose costs are exchanged."""

    def minimise(
        self, costs: np.ndarray, least: np.ndarray, most: np.ndarray
    ) -> tuple[str, np.ndarray]:
        """How it ended, and the best point (n,) where that is OPTIMAL, for costs (n,).

        least and most (n,) are bounds of the variables in place of the program's own.
        """


class Highs:
    """The program as a HiGHS model, on one thread."""

    def __init__(self, program: Program, time_limit: float | None) -> None:
        try:
            import highspy
        except ImportError as error:
            raise SolverUnavailableError(
                f"ILP(backend='highs') needs the package highspy: {error}. Install it with "
                f"pip install highspy, or use backend='gurobi'."
            ) from error
        self.model = highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("mip_rel_gap", 0.0),
            ("mip_abs_gap", 0.0),
            ("mip_feasibility_tolerance", TOLERANCE),
            ("primal_feasibility_tolerance", TOLERANCE),
            ("dual_feasibility_tolerance", TOLERANCE),
            ("small_matrix_value", 1e-12),
            ("time_limit", np.inf if time_limit is None else time_limit),
        ):
            self.model.setOptionValue(name, value)
        self.model.passModel(self._program(highspy, program))
        self.columns = np.arange(program.matrix.shape[1], dtype=np.int32)
        status = highspy.HighsModelStatus
        self.outcomes = {
            status.kOptimal: OPTIMAL,
            status.kInfeasible: INFEASIBLE,
            status.kUnbounded: UNBOUNDED,
            status.kUnboundedOrInfeasible: UNBOUNDED,
            status.kTimeLimit: TIME_LIMIT,
        }

    @staticmethod
    def _program(highspy: Any, program: Program) -> Any:
        lp = highspy.HighsLp()
        lp.num_row_, lp.num_col_ = program.matrix.shape
        lp.col_cost_ = np.zeros(lp.num_col_)
        lp.col_lower_, lp.col_upper_ = program.least, program.most
        lp.row_lower_, lp.row_upper_ = program.lower, program.upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = program.matrix.indptr
        lp.a_matrix_.index_ = program.matrix.indices
        lp.a_matrix_.value_ = program.matrix.data
        kinds = highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger
        lp.integrality_ = [kinds[int(whole)] for whole in program.integer]
        return lp

    def minimise(
        self, costs: np.ndarray, least: np.ndarray, most: np.ndarray
    ) -> tuple[str, np.ndarray]:
        """See Backend."""
        # Without what it learned from the last costs, an answer depends on its own costs alone.
        self.model.clearSolver()
        self.model.changeColsCost(len(costs), self.columns, costs)
        self.model.changeColsBounds(len(costs), self.columns, least, most)
        self.model.run()
        status = self.model.getModelStatus()
        return self.outcomes.get(status, str(status)), np.array(self.model.getSolution().col_value)


class Gurobi:
    """The program as a Gurobi model, on one thread."""

    def __init__(self, program: Program, time_limit: float | None) -> None:
        try:
            import gurobipy
        except ImportError as error:
            raise SolverUnavailableError(
                f"ILP(backend='gurobi') needs the package gurobipy: {error}. Install it with "
                f"pip install gurobipy, or use backend='highs'."
            ) from error
        self.gurobi = gurobipy
        with self._licensed():
            self._build(program, time_limit)

    def _build(self, program: Program, time_limit: float | None) -> None:
        environment = self.gurobi.Env(empty=True)
        environment.setParam("OutputFlag", 0)
        environment.start()
        self.model = self.gurobi.Model("ilp", env=environment)
        self.model.Params.Threads = 1
        self.model.Params.MIPGap = self.model.Params.MIPGapAbs = 0.0
        for name in ("FeasibilityTol", "OptimalityTol", "IntFeasTol"):
            self.model.setParam(name, TOLERANCE)
        if time_limit is not None:
            self.model.Params.TimeLimit = time_limit
        kinds = np.where(program.integer, self.gurobi.GRB.INTEGER, self.gurobi.GRB.CONTINUOUS)
        self.variables: Any = self.model.addMVar(
            len(kinds), lb=program.least, ub=program.most, vtype=kinds
        )
        equal = program.lower == program.upper
        for rows, sense, bound in (
            (equal, "=", program.lower),
            (~equal & np.isfinite(program.lower), ">", program.lower),
            (~equal & np.isfinite(program.upper), "<", program.upper),
        ):
            if rows.any():
                self.model.addMConstr(program.matrix[rows], self.variables, sense, bound[rows])
        status = self.gurobi.GRB.Status
        self.outcomes = {
            status.OPTIMAL: OPTIMAL,
            status.INFEASIBLE: INFEASIBLE,
            status.UNBOUNDED: UNBOUNDED,
            status.INF_OR_UNBD: UNBOUNDED,
            status.TIME_LIMIT: TIME_LIMIT,
        }

    def minimise(
        self, costs: np.ndarray, least: np.ndarray, most: np.ndarray
    ) -> tuple[str, np.ndarray]:
        """See Backend."""
        with self._licensed():
            self.model.reset()
            self.variables.Obj = costs
            self.variables.LB, self.variables.UB = least, most
            self.model.optimize()
            outcome = self.outcomes.get(self.model.Status, f"Gurobi status {self.model.Status}")
            return outcome, self.variables.X if outcome == OPTIMAL else costs

    @contextlib.contextmanager
    def _licensed(self) -> Iterator[None]:
        try:
            yield
        except self.gurobi.GurobiError as error:
            raise SolverUnavailableError(
                f"ILP(backend='gurobi'): Gurobi refused the problem (error {error.errno}: "
                f"{error}). Its licence may be missing, expired or too small; use "
                f"ILP(backend='highs')."
            ) from error
