package crash

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	// copies is how many an upload has when it is answered.
	copies = 2
	// hosts is how many there are: the hub and two nodes, with two devices each.
	hosts   = 3
	perHost = 2
	// seenWithin bounds how long the tracker may take to see all devices.
	seenWithin = 2 * time.Minute
)

// place is where a copy is.
type place struct {
	fid mogile.FID
	dev mogile.DevID
}

// hostOf is the number of a device's host, from 0.
func hostOf(dev mogile.DevID) int { return (int(dev) - 1) / perHost }

// spread is a hub, which is tracker, edge and node in one process, two nodes that are never
// killed, and a gate, an edge that asks the hub's tracker over the wire. Both edges
// write two copies before they answer. Nobody replicates: the copies that are
// recorded are those of the uploads.
type spread struct {
	*process.Cluster
	t         *testing.T
	catalogue catalogue
	gate      *process.Caddy
	gateAddr  string
	roots     [hosts]string
	// hubGone is set before the hub is killed, until it is there again.
	hubGone atomic.Bool
}

func (s *spread) killHub() {
	s.hubGone.Store(true)
	s.Kill()
}

// restart starts both again.
func (s *spread) restart() {
	s.Restart()
	s.hubGone.Store(false)
	s.gate.Restart()
}

const nodeFile = `{
	mogilefs {
		storage NAME {
			root data/storage
			devices DEVICES
			address ADDRESS
			management off
			register TRACKER
		}
	}
}

http://:PORT {
	bind HOST
	mogilefs_storage
}
`

const gateFile = `http://ADDRESS {
	bind 127.0.0.1
	handle_path /images/* {
		mogilefs images {
			methods GET PUT DELETE
			tracker TRACKER
			upload {
				copies 2
			}
			timeouts {
				tracker 30s
			}
		}
	}
}
`

func newSpread(t *testing.T, on catalogue) *spread {
	t.Helper()
	s := &spread{Cluster: process.NewCluster(t, process.ClusterOptions{Database: on.caddyfile}), t: t, catalogue: on}
	s.Reload(strings.Replace(s.Caddyfile("upload {\n\t\t\t\tcopies 2\n\t\t\t}"), "database", "workers replicate 0\n\t\t\tsetting node_timeout 30\n\t\t\tdatabase", 1))
	s.catalogue.in(s.Dir)
	s.roots[0] = s.Root
	ports := process.FreePorts(t, hosts)
	for i := 1; i < hosts; i++ {
		host := "127.0.0." + strconv.Itoa(1+i)
		addr := host + ":" + strconv.Itoa(ports[i])
		node := process.Start(t, process.Options{
			Caddyfile: strings.NewReplacer("NAME", "node"+strconv.Itoa(1+i), "DEVICES", fmt.Sprintf("%d %d", perHost*i+1, perHost*i+2),
				"ADDRESS", addr, "HOST", host, "PORT", strconv.Itoa(ports[i]), "TRACKER", s.TrackerAddr).Replace(nodeFile),
			Ready: []string{addr},
		})
		s.roots[i] = filepath.Join(node.Dir, "data", "storage")
	}
	s.gateAddr = "127.0.0.1:" + strconv.Itoa(ports[0])
	s.gate = process.Start(t, process.Options{
		Caddyfile: strings.NewReplacer("ADDRESS", s.gateAddr, "TRACKER", s.TrackerAddr).Replace(gateFile), Ready: []string{s.gateAddr},
	})
	process.Eventually(t, seenWithin, "known devices", func() bool { return s.Ask("get_devices").Get("devices") == strconv.Itoa(hosts*perHost) })
	s.AwaitWriteable()
	return s
}

// devices are the devices with their directories.
func (s *spread) devices() map[mogile.DevID]string {
	all := map[mogile.DevID]string{}
	for i := range hosts * perHost {
		dev := mogile.DevID(i + 1)
		all[dev] = filepath.Join(s.roots[hostOf(dev)], "dev"+dev.String())
	}
	return all
}

// disks are the copies that lie on the disks, whatever the tracker knows of them.
func (s *spread) disks() map[place]bool {
	found := map[place]bool{}
	for dev, dir := range s.devices() {
		for _, name := range s.below(dir) {
			if digits, is := strings.CutSuffix(filepath.Base(name), ".fid"); is {
				fid, err := strconv.ParseUint(digits, 10, 64)
				if err != nil {
					s.t.Fatalf("%s: %v", name, err)
				}
				found[place{mogile.FID(fid), dev}] = true
			}
		}
	}
	return found
}

// temporaries are the files that are no copies.
func (s *spread) temporaries() (found []string) {
	for dir := range maps.Values(s.devices()) {
		for _, name := range s.below(dir) {
			if !strings.HasSuffix(name, ".fid") {
				found = append(found, name)
			}
		}
	}
	return found
}

// below lists the files of a device that are of fids, which lie below directories of one digit.
func (s *spread) below(dir string) (found []string) {
	s.t.Helper()
	tops, err := filepath.Glob(filepath.Join(dir, "[0-9]"))
	for _, top := range tops {
		err = filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				found = append(found, name)
			}
			if os.IsNotExist(err) { // removed while we looked
				return nil
			}
			return err
		})
		if err != nil {
			break
		}
	}
	if err != nil {
		s.t.Fatalf("list %s: %v", dir, err)
	}
	return found
}

// read is the number of the content that a copy has.
func (s *spread) read(at place) (int, error) {
	body, err := os.ReadFile(filepath.Join(s.roots[hostOf(at.dev)], at.fid.Path(at.dev)))
	if err != nil {
		return absent, err
	}
	return numberOf(body)
}
