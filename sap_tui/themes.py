"""The themes of the app: restrained, colour only where it says something.

Backgrounds are nearly grey: a terminal of 256 colours has no dark colours beside greys, and anything bluer would turn
to black or to a bright blue there.
"""

from __future__ import annotations

from typing import TypeAlias

from textual.theme import Theme

DARK = Theme(
    name="sap-dark",
    dark=True,
    background="#121418",
    surface="#181b20",
    panel="#22262d",
    foreground="#d3d9e4",
    primary="#6ea8fe",
    secondary="#8b98ad",
    accent="#5cc8d7",
    success="#8fcf6f",
    warning="#e6b45c",
    error="#f2777a",
    variables={
        "foreground-muted": "#8f98a8",
        "row-cursor": "#333943",
        "row-cursor-blurred": "#262a31",
        "track": "#4a505a",
        "border": "#6ea8fe",
        "border-blurred": "#3d434d",
        "footer-background": "#181b20",
        "footer-key-foreground": "#6ea8fe",
        "footer-description-foreground": "#9aa5b8",
        "block-cursor-background": "#333943",
        "block-cursor-foreground": "#ffffff",
        "scrollbar": "#4a505a",
        "scrollbar-hover": "#6a717d",
        "scrollbar-active": "#6ea8fe",
        "scrollbar-background": "#181b20",
        "scrollbar-background-hover": "#181b20",
        "scrollbar-background-active": "#181b20",
        "scrollbar-corner-color": "#181b20",
        "button-color-foreground": "#121418",
    },
)
LIGHT = Theme(
    name="sap-light",
    dark=False,
    background="#f4f4f1",
    surface="#fbfbf9",
    panel="#e9e9e4",
    foreground="#272c33",
    primary="#2457b2",
    secondary="#66707f",
    accent="#0d7584",
    success="#2c7a1b",
    warning="#9a6200",
    error="#b3261e",
    variables={
        "foreground-muted": "#6a717c",
        "row-cursor": "#d5e2f7",
        "row-cursor-blurred": "#e6e8ec",
        "track": "#b9bdc4",
        "border": "#2457b2",
        "border-blurred": "#cbcec9",
        "footer-background": "#e9e9e4",
        "footer-key-foreground": "#2457b2",
        "footer-description-foreground": "#4d5561",
        "block-cursor-background": "#d5e2f7",
        "block-cursor-foreground": "#10151c",
        "scrollbar": "#c4c7cc",
        "scrollbar-hover": "#a5a9b0",
        "scrollbar-active": "#2457b2",
        "scrollbar-background": "#fbfbf9",
        "scrollbar-background-hover": "#fbfbf9",
        "scrollbar-background-active": "#fbfbf9",
        "scrollbar-corner-color": "#fbfbf9",
        "button-color-foreground": "#ffffff",
    },
)
# Only the 16 colours of the terminal itself, and its own background, light or dark. The cursor's row is reversed.
ANSI = Theme(
    name="sap-ansi",
    ansi=True,
    dark=True,
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    foreground="ansi_default",
    primary="ansi_blue",
    secondary="ansi_default",
    accent="ansi_cyan",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    variables={
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "foreground-muted": "ansi_default",
        "row-cursor": "ansi_default",
        "row-cursor-blurred": "ansi_default",
        "track": "ansi_default",
        "border": "ansi_blue",
        "border-blurred": "ansi_default",
        "footer-background": "ansi_default",
        "footer-key-foreground": "ansi_blue",
        "footer-description-foreground": "ansi_default",
        "block-cursor-background": "ansi_blue",
        "block-cursor-foreground": "ansi_bright_white",
        "input-cursor-text-style": "reverse",
        "scrollbar": "ansi_blue",
        "scrollbar-hover": "ansi_blue",
        "scrollbar-active": "ansi_blue",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "scrollbar-corner-color": "ansi_default",
        "button-color-foreground": "ansi_default",
    },
)
THEMES = (DARK, LIGHT, ANSI)
# What the app draws with and other themes do not define.
DEFAULTS = {"row-cursor": "#80808060", "row-cursor-blurred": "#80808030", "track": "#80808080"}

PlotColour: TypeAlias = tuple[int, int, int] | int
# Told apart by people who see fewer colours (Okabe and Ito), dark enough or light enough for the background.
_ON_DARK = ((86, 180, 233), (230, 159, 0), (47, 198, 148), (224, 136, 184), (240, 228, 66), (240, 120, 70))
_ON_LIGHT = ((0, 98, 160), (168, 84, 0), (0, 112, 82), (150, 55, 115), (112, 96, 0), (190, 50, 0))
_ANSI = (12, 11, 10, 13, 14, 9)


def plot_colours(theme: Theme) -> tuple[PlotColour, ...]:
    """The colours of lines and points, to be taken in turn: red, green and blue, or the terminal's own by number."""
    if theme.ansi:
        return _ANSI
    return _ON_DARK if theme.dark else _ON_LIGHT


def style_of(colour: PlotColour) -> str:
    """The same colour as a style of text."""
    names = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
    return f"ansi_bright_{names[colour - 8]}" if isinstance(colour, int) else "rgb({},{},{})".format(*colour)
