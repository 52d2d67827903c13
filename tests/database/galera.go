package database

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// StartGalera starts two MariaDB nodes in dir that are one cluster: what is written
// on either is on both. The caller stops them, b first.
//
// Two nodes are one too few to tell a dead neighbour from a broken cable: neither has
// a majority when the other is gone. So a has the greater weight (pc.weight): it goes
// on alone and stays the primary component, while b alone refuses all work with error
// 1047 until a is back. That is safe, where pc.ignore_sb, by which both go on, is not:
// they would part for ever. An operator can make b primary, when a is dead for good,
// by SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'. A third node, or Galera's
// arbitrator garbd on a third machine, makes the question disappear.
//
// A node that was stopped or killed comes back with Restart, as long as the other one
// runs. It then gets what it missed, or a whole copy by rsync.
func StartGalera(dir string) (a, b *Server, err error) {
	options, err := galeraOptions()
	if err != nil {
		return nil, nil, err
	}
	a, err = startFirst(mariaDB{}, Place{}, filepath.Join(dir, "a"), options[0], []string{"--wsrep-new-cluster"})
	if err != nil {
		return nil, nil, err
	}
	b, err = start(mariaDB{}, filepath.Join(dir, "b"), options[1])
	if err != nil {
		return nil, nil, errors.Join(err, a.Kill())
	}
	return a, b, nil
}

// OwnGalera starts a cluster for one test alone; it ends with the test.
func OwnGalera(t testing.TB) (a, b *Server) {
	t.Helper()
	dir := ownDir(t)
	a, b, err := StartGalera(dir)
	if err != nil {
		give(t, err)
	}
	a.endWith(t)
	b.endWith(t)
	return a, b
}

// galeraOptions is the options of the two nodes.
func galeraOptions() ([2][]string, error) {
	provider, err := galeraProvider()
	if err != nil {
		return [2][]string{}, err
	}
	ports, err := freePorts(6) // of each node: for the group, for small and for whole copies
	if err != nil {
		return [2][]string{}, err
	}
	shared := []string{
		"--wsrep-on=ON", "--wsrep-provider=" + provider,
		"--wsrep-cluster-name=mogile",
		"--wsrep-cluster-address=gcomm://" + loopback(ports[0]) + "," + loopback(ports[1]),
		"--wsrep-sst-method=rsync",
		// What Galera demands.
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
	}
	var nodes [2][]string
	for i := range nodes {
		nodes[i] = append(slices.Clone(shared),
			"--wsrep-node-name="+string("ab"[i]),
			"--wsrep-node-address="+loopback(ports[i]),
			"--wsrep-sst-receive-address="+loopback(ports[4+i]),
			"--wsrep-provider-options="+strings.Join([]string{
				"gmcast.listen_addr=tcp://" + loopback(ports[i]),
				"ist.recv_addr=" + loopback(ports[2+i]),
				fmt.Sprintf("pc.weight=%d", 2-i),
				"gcache.size=16M",
				// A dead node is given up after a second, not after five.
				"evs.keepalive_period=PT0.3S", "evs.suspect_timeout=PT1S", "evs.inactive_timeout=PT3S",
			}, ";"))
	}
	return nodes, nil
}

// galeraProvider finds the library that makes a MariaDB a node, and sees that there
// is what nodes copy each other with.
func galeraProvider() (string, error) {
	for _, command := range []string{"rsync", "wsrep_sst_rsync"} {
		if _, ok := lookPath(command, "/usr/bin"); !ok {
			return "", missing(command, "rsync and mariadb-server")
		}
	}
	for _, pattern := range []string{"/usr/lib/galera*/libgalera_smm.so", "/usr/lib64/galera*/libgalera_smm.so"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", missing("libgalera_smm.so", "galera-4")
}
