package injector

import "context"

// Turn does what one second brings.
func (b *Rebalance) Turn(ctx context.Context) error { return b.turn(ctx) }
