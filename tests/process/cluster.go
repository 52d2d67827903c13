package process

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Domain is the domain that a cluster's Caddyfile declares.
const Domain = "images"

// devices is the devices of a cluster, as its Caddyfile lists them.
var devices = []mogile.DevID{1, 2}

// writeableWithin bounds how long the monitor may take to find both devices
// writeable: a round that came before the storage site listened is repeated
// seconds later.
const writeableWithin = 60 * time.Second

// ClusterOptions is how a cluster is started; the zero value is the usual one.
type ClusterOptions struct {
	// Binary is the command to run; empty means [Binary].
	Binary string
	// Database is the database in words of the Caddyfile; empty means "sqlite data/mogilefs.db".
	Database string
}

// Cluster is one process with all three roles: a tracker on SQLite, a storage node
// with devices 1 and 2, an edge that takes GET, PUT and DELETE.
type Cluster struct {
	*Caddy
	// Site is the public site's address; below it are the keys of [Domain], and
	// below /undeclared/ those of a domain that does not exist.
	Site string
	// URL is the address below which the keys are, with a slash at the end.
	URL string
	// TrackerAddr, StorageAddr and ManagementAddr are what the reference has on
	// 7001, 7500 and 7501.
	TrackerAddr, StorageAddr, ManagementAddr string
	// Root holds the directories dev1 and dev2.
	Root string

	client   client
	database string
}

// NewCluster starts a cluster and returns when it takes uploads.
func NewCluster(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	ports := FreePorts(t, 4)
	dir := t.TempDir()
	c := &Cluster{
		TrackerAddr: loopback(ports[0]), StorageAddr: loopback(ports[1]), ManagementAddr: loopback(ports[2]),
		Root: filepath.Join(dir, "data", "storage"),
		Site: "http://" + loopback(ports[3]), client: newClient(t), database: cmp.Or(o.Database, "sqlite data/mogilefs.db"),
	}
	c.URL = c.Site + "/" + Domain + "/"
	c.Caddy = Start(t, Options{
		Dir: dir, Caddyfile: c.Caddyfile(""), Binary: o.Binary,
		Ready: []string{c.TrackerAddr, c.StorageAddr, c.ManagementAddr, loopback(ports[3])},
	})
	c.AwaitWriteable()
	return c
}

// caddyfile is the README's, with addresses and more options to be filled in, and with
// more patience: hundreds of changes at once on a busy machine are no reason for a 503.
const caddyfile = `{
	mogilefs {
		tracker {
			listen TRACKER
			database DATABASE
			setting mogstored_stream_port STREAM
		}
		storage node1 {
			root data/storage
			devices 1 2
			address STORAGE
			management MANAGEMENT
			register
		}
		domain DOMAIN
	}
}

http://:HTTPPORT {
	bind 127.0.0.1
	mogilefs_storage node1
}

SITE {
	bind 127.0.0.1
	handle_path /DOMAIN/* {
		mogilefs DOMAIN {
			methods GET PUT DELETE
			timeouts {
				tracker 30s
			}MORE
		}
	}
	handle_path /undeclared/* {
		mogilefs undeclared {
			methods GET PUT DELETE
		}
	}
}
`

// Caddyfile is the cluster's configuration with one more line in the block of the
// edge, for reloads that change something.
func (c *Cluster) Caddyfile(more string) string {
	if more != "" {
		more = "\n\t\t\t" + more
	}
	return strings.NewReplacer(
		"TRACKER", c.TrackerAddr, "STORAGE", c.StorageAddr, "MANAGEMENT", c.ManagementAddr,
		"STREAM", portOf(c.ManagementAddr), "HTTPPORT", portOf(c.StorageAddr),
		"SITE", c.Site, "DOMAIN", Domain, "MORE", more, "DATABASE", c.database,
	).Replace(caddyfile)
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// Restart starts the process again after Kill or Stop and returns when it takes
// uploads.
func (c *Cluster) Restart() {
	c.t.Helper()
	c.Caddy.Restart()
	c.AwaitWriteable()
}

// AwaitWriteable waits until the tracker has seen that both devices can be written, and all
// others that a test has added.
func (c *Cluster) AwaitWriteable() {
	c.t.Helper()
	var seen []string
	if !poll(c.t.Context(), writeableWithin, func() bool {
		seen = c.observed()
		isNot := func(state string) bool { return state != "writeable" }
		return len(seen) >= len(devices) && !slices.ContainsFunc(seen, isNot)
	}) {
		c.t.Fatalf("got devices observed as %q; want all writeable:\n%s", seen, c.Tail())
	}
}

// observed is the observed states of all devices.
func (c *Cluster) observed() []string {
	values := c.Ask("get_devices")
	var states []string
	for name := range values {
		if strings.HasSuffix(name, "_observed_state") {
			states = append(states, values.Get(name))
		}
	}
	return states
}
