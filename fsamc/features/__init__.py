"""Images to patch features: backbones, exported programs, closed-form patches."""
