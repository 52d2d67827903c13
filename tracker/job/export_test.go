package job

import "time"

// Teller is the log's patience.
type Teller = teller

// May asks it.
func (t *teller) May(now time.Time) (untold int, ok bool) { return t.may(now) }
