"""The control tokens of every model that tissu trains, at fixed ids from the start."""

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The template by which models that tissu trained learn to converse."""

SPECIAL_TOKENS: tuple[str, ...] = (
    END_OF_TEXT,
    PAD,
    TURN_START,
    TURN_END,
    *(f"<|reserved_{number}|>" for number in range(12)),
)
END_OF_TEXT_ID = SPECIAL_TOKENS.index(END_OF_TEXT)
PAD_ID = SPECIAL_TOKENS.index(PAD)
