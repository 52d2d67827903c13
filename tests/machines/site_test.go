package machines

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/network"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// within bounds what takes its time: a start, replication.
const within = 2 * time.Minute

// site is all machines. The MariaDB of the first takes the writes, that of the second
// follows it.
type site struct {
	t        *testing.T
	wire     *network.Switch
	machines []*machine
	// account is a tracker's in the database, admin that of who may do everything.
	account, admin *mysql.Config
	client         *client.Client
	http           *http.Client
}

// newSite is nil where there can be no machines.
func newSite(t *testing.T, roles ...role) *site {
	t.Helper()
	s := &site{t: t, wire: network.NewSwitch(t)}
	if s.wire == nil {
		return nil
	}
	s.http = &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: connectWithin}).DialContext, MaxIdleConnsPerHost: 64, ResponseHeaderTimeout: answerWithin,
	}}
	t.Cleanup(s.http.CloseIdleConnections)
	for i, r := range roles {
		m := &machine{Machine: s.wire.Connect(r.name), role: r, site: s, dev: i + 1, dir: t.TempDir()}
		s.machines = append(s.machines, m)
	}
	s.startDatabases()
	for _, m := range s.machines {
		m.startCaddy(t)
	}
	var err error
	if s.client, err = client.New(client.Config{Addresses: strings.Fields(s.trackers())}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	s.nameReplicas()
	s.awaitDevices()
	return s
}

// startDatabases has the first two machines' MariaDB up, and the second follow the first.
func (s *site) startDatabases() {
	s.t.Helper()
	a, b := s.machines[0], s.machines[1]
	a.startDatabase(s.t)
	b.startDatabase(s.t)
	var err error
	if s.account, err = mysql.ParseDSN(a.db.MustCreate(s.t, "")); err != nil {
		s.t.Fatal(err)
	}
	if s.admin, err = mysql.ParseDSN(a.db.AdminDSN()); err != nil {
		s.t.Fatal(err)
	}
	s.say(a, "SET GLOBAL read_only = 0")
	s.say(b, fmt.Sprintf("GRANT ALL ON `%s`.* TO '%s'@'%%'", s.account.DBName, s.account.User))
	for _, m := range []*machine{a, b} {
		m.welcome(s.t, s.admin)
	}
	if err := os.WriteFile(a.primary(), []byte(a.db.Addr()), 0o644); err != nil {
		s.t.Fatal(err)
	}
	b.script(s.t, "follow", a.db.Addr())
}

func (s *site) say(m *machine, statement string) {
	s.t.Helper()
	if _, err := m.db.Admin().ExecContext(s.t.Context(), statement); err != nil {
		s.t.Fatalf("%s on %s: %v", statement, m.Name, err)
	}
}

// trackers is the addresses of all.
func (s *site) trackers() string {
	var all []string
	for _, m := range s.machines {
		if m.database {
			all = append(all, m.trackerAddr())
		}
	}
	return strings.Join(all, " ")
}

// nameReplicas has trackers look keys up in both databases.
func (s *site) nameReplicas() {
	s.t.Helper()
	var names []string
	for _, m := range s.machines {
		if m.db == nil {
			continue
		}
		names = append(names, m.Name)
		host, port, err := net.SplitHostPort(m.db.Addr())
		if err != nil {
			s.t.Fatal(err)
		}
		s.set("slave_"+m.Name, fmt.Sprintf("DBI:mysql:%s:host=%s;port=%s|%s|%s", s.account.DBName, host, port, s.account.User, s.account.Passwd))
	}
	s.set("slave_dead_retry_timeout", "1")
	s.set("slave_keys", strings.Join(names, ","))
}

func (s *site) set(name, value string) {
	s.t.Helper()
	var args protocol.Pairs
	args.Add("key", name)
	args.Add("value", value)
	if _, err := s.client.Do(s.t.Context(), "set_server_setting", args); err != nil {
		s.t.Fatalf("set %s: %v", name, err)
	}
}

func (s *site) awaitDevices() {
	s.t.Helper()
	want := 0
	for _, m := range s.machines {
		if m.storage {
			want++
		}
	}
	process.Eventually(s.t, within, "writeable devices", func() bool {
		devices, err := s.client.Devices(s.t.Context())
		n := 0
		for _, d := range devices {
			if d.Observed == "writeable" {
				n++
			}
		}
		return err == nil && n == want
	})
}

// copies is where a file is, by the disks and not by what the database says.
func (s *site) copies(fid mogile.FID) (on []string) {
	for _, m := range s.machines {
		if !m.storage {
			continue
		}
		path := filepath.Join(m.dir, "data", "storage", fid.Path(mogile.DevID(m.dev)))
		if _, err := os.Stat(path); err == nil {
			on = append(on, m.Name)
		}
	}
	return on
}

// awaitCount waits until all files are on two machines.
func (s *site) awaitCount(keys []string) {
	s.t.Helper()
	for _, key := range keys {
		var on []string
		process.Eventually(s.t, within, "second copy of "+key, func() bool {
			loc, err := s.client.Locate(s.t.Context(), "images", mogile.Key(key), "")
			if err != nil || len(loc.Copies) < 2 {
				return false
			}
			on = s.copies(loc.FID)
			return len(on) >= 2
		})
	}
}

// put uploads through one edge.
func (s *site) put(ctx context.Context, edge, key string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, edge+key, bytes.NewReader(content(key)))
	if err != nil {
		return false, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusCreated, err
}

// get reads through one edge. reached is false when there was no answer, or not all of one:
// then a client asks another edge.
func (s *site) get(edge, key string) (reached bool, err error) {
	resp, err := s.http.Get(edge + key)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode != http.StatusOK:
		return true, fmt.Errorf("get %s from %s: got %s %.100q; want 200", key, edge, resp.Status, body)
	case !bytes.Equal(body, content(key)):
		return true, fmt.Errorf("get %s from %s: got %d other bytes than were stored", key, edge, len(body))
	}
	return true, nil
}

// content is what a key has, a few KiB to a few hundred.
func content(key string) []byte {
	n := 1 + 40*(len(key)+int(key[len(key)-1]))
	return bytes.Repeat([]byte(key+"\n"), n)
}
