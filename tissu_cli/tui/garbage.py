"""Python's garbage collector, kept from stopping the screen."""

import gc

_YOUNG_OBJECTS = 5_000


def settle() -> None:
    """Call it when much was made that stays: the screen, a model.

    Every strip that Textual draws ends in a cycle of 15 objects. With Python's own thresholds the
    collector then searched all objects of the process every two seconds, torch's included: 25 to 65
    ms with an empty heap. What is there now is not searched again, and young objects are looked at
    5,000 at a time, when most are dead: 2 ms.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 5, 100)
