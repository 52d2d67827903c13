// Package complaint has warnings that strangers can cause as often as they like: the log has
// one now and then, with how many there were besides.
package complaint

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// Every is how often the log repeats one.
const Every = 10 * time.Second

// Complaint is one kind of warning. The zero value is ready. It may be used by many goroutines.
type Complaint struct {
	mu     sync.Mutex // guards what follows
	said   time.Time
	unsaid int
}

// Warn logs it, unless it was logged a moment ago; a nil log hears nothing.
func (c *Complaint) Warn(log *zap.Logger, text string, fields ...zap.Field) {
	if log == nil {
		return
	}
	if others, due := c.due(); due {
		log.Warn(text, append(fields, zap.Int("others before", others))...)
	}
}

// due reports whether it is to be said now, and how often it was not since.
func (c *Complaint) due() (others int, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.said.IsZero() && time.Since(c.said) < Every {
		c.unsaid++
		return 0, false
	}
	others = c.unsaid
	c.said, c.unsaid = time.Now(), 0
	return others, true
}
