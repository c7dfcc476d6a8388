"""The heads: what turns residual maps into a class. One file each, behind `fsamc.heads.base.Head`."""

# Import paths, resolved when a head is built: reading a configuration must not import torch.
HEADS = {
    "contrastive": "fsamc.heads.contrastive:ContrastiveHead",
    "prototype": "fsamc.heads.prototype:PrototypeHead",
}
