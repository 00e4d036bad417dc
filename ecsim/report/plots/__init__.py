"""Figures for papers: one file per kind, each with the numbers behind it as CSV.

A kind is a module with ``draw(material, options) -> Drawn``; its name stands in `KINDS`. Reads
results through `ecsim.report.material` alone. Start at `drawing`, then `pareto`.
"""

KINDS = {
    "pareto": "two metrics against each other, with the front of what no other point beats",
    "latency-cdf": "share of tasks that were answered within a time",
    "accuracy": "stream accuracy and cloud-upload rate over time",
    "phases": "metrics over phases, one panel each",
    "classes": "entropy and upload rate of each true class, of known and unknown ones",
    "routing": "accuracy over upload rate by each score, phase by phase",
    "stream": "classes over time at each device, and when it saw corrupted samples",
    "energy": "marginal energy per task by stage",
    "queues": "use and length of the busiest engines and links",
    "queues-over-time": "the same as time series, of runs with run: {probe: ...}",
    "heatmap": "a metric over two swept keys",
    "best": "which strategy is best over two swept keys, and where the last one is beaten",
    "layer-times": "what each layer takes, of strategies with layer_times: true",
    "break-even": "the same over a link's swept rate, split against whole, and where they meet",
    "exits": "accuracy against latency and energy over a threshold, and the share of each exit",
    "parallel": "swept keys and metrics on parallel axes, one line per cell",
}
"""Kind -> what it shows; its module has the same name, with underscores."""
