"""The two themes of the app: restrained, colour only where it says something."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="sap-dark",
    dark=True,
    background="#12161d",
    surface="#171c25",
    panel="#202733",
    foreground="#d3d9e4",
    primary="#6ea8fe",
    secondary="#8b98ad",
    accent="#5cc8d7",
    success="#8fcf6f",
    warning="#e6b45c",
    error="#f2777a",
    variables={
        "foreground-muted": "#7f8a9c",
        "row-cursor": "#2a3850",
        "row-cursor-blurred": "#222a37",
        "track": "#2b3341",
        "border": "#6ea8fe",
        "border-blurred": "#323c4c",
        "footer-background": "#171c25",
        "footer-key-foreground": "#6ea8fe",
        "footer-description-foreground": "#9aa5b8",
        "block-cursor-background": "#2a3850",
        "block-cursor-foreground": "#ffffff",
        "scrollbar": "#38445a",
        "scrollbar-hover": "#4a5a78",
        "scrollbar-active": "#6ea8fe",
        "scrollbar-background": "#171c25",
        "scrollbar-background-hover": "#171c25",
        "scrollbar-background-active": "#171c25",
        "scrollbar-corner-color": "#171c25",
        "button-color-foreground": "#12161d",
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
    success="#3a7d1c",
    warning="#9a6200",
    error="#b3261e",
    variables={
        "foreground-muted": "#6f7783",
        "row-cursor": "#d5e2f7",
        "row-cursor-blurred": "#e8ebf0",
        "track": "#dddfe0",
        "border": "#2457b2",
        "border-blurred": "#cbcec9",
        "footer-background": "#e9e9e4",
        "footer-key-foreground": "#2457b2",
        "footer-description-foreground": "#4d5561",
        "block-cursor-background": "#d5e2f7",
        "block-cursor-foreground": "#10151c",
        "scrollbar": "#bfc6d0",
        "scrollbar-hover": "#9fabbb",
        "scrollbar-active": "#2457b2",
        "scrollbar-background": "#fbfbf9",
        "scrollbar-background-hover": "#fbfbf9",
        "scrollbar-background-active": "#fbfbf9",
        "scrollbar-corner-color": "#fbfbf9",
        "button-color-foreground": "#ffffff",
    },
)
THEMES = (DARK, LIGHT)
# What the app draws with and other themes do not define.
DEFAULTS = {"row-cursor": "#80808060", "row-cursor-blurred": "#80808030", "track": "#80808080"}
