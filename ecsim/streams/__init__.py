"""What arrives where and when: data sets, pools, class schedules, arrivals, decks, tasks.

numpy only; may be imported by learning and above. Start at `tasks`, which puts the others together.
"""
