"""The numbers: indicator tables, and the accounting of many parameter sets at once.

Within this package imports are relative: gpu/kernel is the same files once more, for a GPU.
"""
