"""Who asks, what they may do, and where what they did is written down."""
