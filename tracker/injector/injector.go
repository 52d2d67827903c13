package injector

import (
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// Config is what both injectors work with.
type Config struct {
	Topology *topology.Live
	// Hostname is what the settings fsck_host and rebal_host call this tracker; empty means
	// what the system calls the machine.
	Hostname string
	// Queued is called when something was queued. It must not wait.
	Queued func()
	// Now is the clock by which other trackers are given their time; nil means the
	// system's.
	Now    func() time.Time
	Logger *zap.Logger
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// self is what the settings call this tracker.
func (c Config) self() (string, error) {
	if c.Hostname != "" {
		return c.Hostname, nil
	}
	return os.Hostname()
}
