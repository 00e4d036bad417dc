"""Builds the optional extension; everything else is in pyproject.toml."""

import os
import runpy
from pathlib import Path

from setuptools import Extension, setup

compiled = runpy.run_path("ecsim/compiled.py")
digest = compiled["digest"](Path("ecsim"))
is_msvc = os.name == "nt"

setup(
    ext_modules=[
        Extension(
            "ecsim._compiled",
            ["ecsim/_c/module.c"],
            depends=[f"ecsim/{name}" for name in compiled["SOURCES"]],  # the hash is built in
            define_macros=[("ECSIM_SOURCES", f'"{digest}"')],
            # no fused multiply-add: a sum must be what Python makes of it, to the bit
            extra_compile_args=[] if is_msvc else ["-O2", "-g0", "-ffp-contract=off"],
            optional=True,
        )
    ]
)
