"""An empty figure to draw on, which belongs to no window."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def blank(size: tuple[float, float] | None, dpi: int = 100, fitted: bool = True) -> Figure:
    """A white figure of width and height in inches (None: yet to be set).

    Its parts are `fitted` into it by matplotlib, unless their places are computed.
    """
    figure = Figure(figsize=size, dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    if fitted:
        figure.set_layout_engine("constrained")
    return figure
