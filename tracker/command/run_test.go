package command_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func (c *cluster) run(line string) string { return c.runIn(c.t.Context(), line) }

func (c *cluster) runIn(ctx context.Context, line string) string {
	req := protocol.Parse([]byte(line))
	resp := c.Run(ctx, req, netip.Addr{})
	return strings.TrimSuffix(string(resp.Append(nil, req)), "\r\n")
}

func (c *cluster) runs(line, want string) {
	c.t.Helper()
	c.runsIn(c.t.Context(), line, want)
}

func (c *cluster) runsIn(ctx context.Context, line, want string) {
	c.t.Helper()
	if got := c.runIn(ctx, line); got != want {
		c.t.Errorf("%q: got %q; want %q", line, got, want)
	}
}

func TestAnswersAreNotLogged(t *testing.T) {
	c := newCluster(t, nil)
	c.runs("nosuch", "ERR unknown_command Unknown+server+command")
	c.runs("get_paths domain=images&key=k", "ERR unknown_key unknown_key")
	c.runs("create_open domain=images&fid=abc", "ERR db Database+error")
	const beyond = "18446744073709551615" // no database can be asked for it
	c.runs("create_open domain=images&fid="+beyond, "ERR db Database+error")
	c.runs("file_debug fid="+beyond, "OK checksum=NONE")
	c.runs("create_close domain=images&devid=1&key=k&fid="+beyond+
		"&path=http://10.0.0.1:7500/dev1/1/844/674/"+beyond+".fid", "ERR bogus_args bogus_args")
	if n := c.logs.Len(); n != 0 {
		t.Errorf("got %d log entries; want none: %v", n, c.logs.All())
	}
}

func TestInternalErrorsAreLoggedOnceAndNotTold(t *testing.T) {
	c, f := newFaultyCluster(t)
	f.open = errDown
	c.runs("create_open domain=images", "ERR db Database+error")
	must(t, c.store.Close())
	for _, line := range []string{
		"get_paths domain=images&key=k", "file_info domain=images&key=k", "file_debug fid=1", "list_keys domain=images", "list_fids",
		"delete domain=images&key=k", "rename domain=images&from_key=k&to_key=l", "updateclass domain=images&key=k&class=md5",
		"create_domain domain=d", "delete_domain domain=images", "create_class domain=images&class=c&mindevcount=1",
		"update_class domain=images&class=md5&mindevcount=1", "delete_class domain=images&class=md5",
		"create_host host=h&ip=10.0.0.9&port=1", "update_host host=host1", "delete_host host=host1",
		"create_device devid=9&hostid=1", "set_state host=host1&device=1&state=down", "set_weight host=host1&device=1&weight=1",
		"server_setting key=x", "server_settings", "set_server_setting key=slave_x&value=1", "clear_cache",
		"fsck_stop", "fsck_status", "fsck_getlog", "fsck_clearlog", "rebalance_set_policy", "rebalance_test", "rebalance_start",
		"rebalance_status", "rebalance_stop", "rebalance_reset", "replicate_now", "edit_file domain=images&key=k",
	} {
		before := c.logs.Len()
		c.runs(line, "ERR failure Operation+failed")
		if n := c.logs.Len() - before; n != 1 {
			t.Errorf("%q: got %d log entries; want 1", line, n)
		}
	}
	if entry := c.logs.All()[0].ContextMap(); entry["command"] != "create_open" || !strings.Contains(entry["error"].(string), errDown.Error()) {
		t.Errorf("got log entry %v; want the command and its cause", entry)
	}
}

func TestWithoutValidPolicyNoPolicyIs(t *testing.T) {
	c := newCluster(t, nil)
	c.runs("create_class domain=images&class=c&mindevcount=1&replpolicy=MultipleHosts()",
		"ERR invalid_replpolicy unknown+policy+MultipleHosts%28%29")
	c.runs("create_class domain=images&class=c&mindevcount=1&replpolicy=", "OK class=c&mindevcount=1&domain=images")
}

func TestCommandsWaitForTheFirstMonitorRound(t *testing.T) {
	c := newCluster(t, nil)
	c.fakes.ready = context.DeadlineExceeded
	c.runs("noop", "ERR failure Operation+failed")
	c.runs("nosuch", "ERR unknown_command Unknown+server+command")
}

// TestAChangeThatCanNotBeShownIsStillMade: the client must not repeat it.
func TestAChangeThatCanNotBeShownIsStillMade(t *testing.T) {
	c := newCluster(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	c.fakes.refreshing = cancel
	resp := c.Run(ctx, protocol.Parse([]byte("create_domain domain=d")), netip.Addr{})
	if resp.Err != nil {
		t.Errorf("got %v; want OK", resp.Err)
	}
	if n := c.logs.Len(); n != 1 {
		t.Errorf("got %d log entries; want 1", n)
	}
}
