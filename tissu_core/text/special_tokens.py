"""The control tokens of every model that tissu trains, at fixed ids from the start."""

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"

SPECIAL_TOKENS: tuple[str, ...] = (
    END_OF_TEXT,
    PAD,
    TURN_START,
    TURN_END,
    *(f"<|reserved_{number}|>" for number in range(12)),
)
END_OF_TEXT_ID = SPECIAL_TOKENS.index(END_OF_TEXT)
PAD_ID = SPECIAL_TOKENS.index(PAD)
