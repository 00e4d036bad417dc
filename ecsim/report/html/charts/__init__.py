"""Charts as inline SVG: light, readable without colour, with each value where one points.

They take numbers and give `Markup`; they know nothing of runs. Colours are classes that the
style sheet sets for light and dark. `axes` has scales and ticks, `marks` lines, markers and
patterns; each other file is one kind of chart.
"""
