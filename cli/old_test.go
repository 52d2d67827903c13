package cli_test

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// oldCommands is what a tracker of the reference knows (docs/spec/tracker-protocol.md §8.4).
const oldCommands = `clear_cache create_class create_close create_device create_domain create_host create_open
	delete delete_class delete_domain delete_host do_monitor_round edit_file file_debug file_info fsck_clearlog fsck_getlog
	fsck_reset fsck_start fsck_status fsck_stop get_devices get_domains get_hosts get_paths httpcopy list_fids list_keys
	noop rebalance_reset rebalance_set_policy rebalance_start rebalance_status rebalance_stop rebalance_test rename
	replicate_now server_setting server_settings set_server_setting set_state set_weight sleep test update_class
	update_host updateclass`

// newPairs are what our tracker answers beside what the reference does.
var newPairs = map[string][]string{
	"fsck_status":      {"files_checked", "files_waiting", "files_per_second"},
	"rebalance_status": nil, // all but state
	"create_host":      {"host"}, "update_host": {"host"},
}

// startOld starts what stands before our tracker and makes it an old one: commands that it
// does not know are refused, and what it does not tell is left out. It returns its
// address.
func startOld(t *testing.T, tracker string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talking sync.WaitGroup
	talking.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			talking.Go(func() { relay(t, conn, tracker) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		talking.Wait()
	})
	return ln.Addr().String()
}

// relay passes lines on until the client goes.
func relay(t *testing.T, conn net.Conn, tracker string) {
	defer conn.Close()
	to, err := net.Dial("tcp", tracker)
	if err != nil {
		t.Errorf("dial the tracker: %v", err)
		return
	}
	defer to.Close()
	from, answers := bufio.NewReader(conn), bufio.NewReader(to)
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !slices.Contains(strings.Fields(oldCommands), command) {
			_, _ = io.WriteString(conn, "ERR unknown_command Unknown+server+command\r\n")
			t.Errorf("an old tracker was asked for %q", line)
			continue
		}
		if _, err := io.WriteString(to, line); err != nil {
			return
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, asOld(command, answer)); err != nil {
			return
		}
	}
}

// asOld leaves out what the reference does not tell.
func asOld(command, answer string) string {
	left, known := newPairs[command]
	pairs, ok := strings.CutPrefix(strings.TrimRight(answer, "\r\n"), "OK ")
	if !known || !ok {
		return answer
	}
	kept := slices.DeleteFunc(strings.Split(pairs, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		if left == nil {
			return name != "state"
		}
		return slices.Contains(left, name)
	})
	return "OK " + strings.Join(kept, "&") + "\r\n"
}

// startSilent starts a tracker that takes questions and never answers.
func startSilent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() }) // nobody accepts: the system does, and nobody reads
	return ln.Addr().String()
}
