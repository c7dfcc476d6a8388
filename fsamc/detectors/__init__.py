"""Detectors, which say what would be normal at each patch: a file each, behind `base.Detector`.

All work on the same frozen patch features, where the published ones have their own (paper 5: "any anomaly detection
algorithm similar to PatchCore"). Their settings are in `detector_kinds`.
"""
