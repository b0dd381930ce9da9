"""First weights."""

import torch
from torch import Tensor, nn

from tissu_core.models.decoder import Decoder

HEAD_STD = 0.02  # so small that the first guess is near the uniform one, and the loss ln V
_BLOCK_OUTPUTS = ("o_proj.weight", "down_proj.weight")


@torch.no_grad()
def init_weights(model: Decoder, seed: int, scheme: str = "identity") -> None:
    """Fill every parameter: norms 1, biases 0, the head small, matrices by ``scheme``.

    ``identity``: normal of 1/sqrt(inputs), outputs of blocks zero. Blocks that start as the
    identity let a deep stack learn at the rate of a shallow one (Zhang et al. 2019,
    arXiv:1901.09321).
    ``gpt2``: normal of 0.02, outputs of blocks divided by sqrt(2 layers) (Radford et al. 2019).
    ``xavier_*`` (Glorot and Bengio 2010) and ``kaiming_*`` (He et al. 2015, arXiv:1502.01852): by
    the matrix's inputs and outputs, uniform or normal.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            parameter.fill_(1.0)
        elif parameter.ndim < 2:
            parameter.zero_()
        elif "embed_" in name:
            std = HEAD_STD if scheme == "gpt2" else model.config.embedding_std
            nn.init.normal_(parameter, std=std, generator=generator)
        elif name == "lm_head.weight":
            nn.init.normal_(parameter, std=HEAD_STD, generator=generator)
        else:
            _fill_matrix(
                parameter,
                scheme,
                generator,
                is_output=name.endswith(_BLOCK_OUTPUTS),
                num_layers=model.config.num_hidden_layers,
            )


def _fill_matrix(
    matrix: Tensor, scheme: str, generator: torch.Generator, *, is_output: bool, num_layers: int
) -> None:
    match scheme:
        case "gpt2":
            std = 0.02 * ((2 * num_layers) ** -0.5 if is_output else 1.0)
            nn.init.normal_(matrix, std=std, generator=generator)
        case "xavier_uniform":
            nn.init.xavier_uniform_(matrix, generator=generator)
        case "xavier_normal":
            nn.init.xavier_normal_(matrix, generator=generator)
        case "kaiming_uniform":
            nn.init.kaiming_uniform_(matrix, generator=generator)
        case "kaiming_normal":
            nn.init.kaiming_normal_(matrix, generator=generator)
        case _ if is_output:
            matrix.zero_()
        case _:
            nn.init.normal_(matrix, std=matrix.shape[1] ** -0.5, generator=generator)
