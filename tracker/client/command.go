package client

import (
	"bytes"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// trait is what must be known of a command to ask for it well. The zero trait is that
// of commands nobody knows, such as plugins'.
type trait struct {
	// repeatable commands may be carried out twice: they change nothing, or the
	// second time changes nothing more. Trackers themselves repeat requests
	// (docs/spec/tracker-protocol.md §1.11).
	repeatable bool
	// slow commands have the tracker ask storage nodes, or wait for its monitor.
	slow bool
}

// traits is every command of docs/spec/tracker-protocol.md §8.4 that has one.
//
// What is not repeatable: create_close answers no_temp_file the second time, delete
// and rename unknown_key, create_* that it exists already; set_*, update_*,
// updateclass, fsck_* and rebalance_* could undo what somebody did in between;
// replicate_now answers another number.
var traits = map[string]trait{
	"noop":  {repeatable: true},
	"sleep": {repeatable: true, slow: true},

	"get_paths":  {repeatable: true, slow: true},
	"file_info":  {repeatable: true},
	"file_debug": {repeatable: true},
	"list_keys":  {repeatable: true},
	"list_fids":  {repeatable: true},

	// An upload that is opened twice costs a fid; the tracker sweeps the other one away.
	"create_open":  {repeatable: true, slow: true},
	"create_close": {slow: true},
	"edit_file":    {slow: true},

	"create_close_copies": {slow: true},
	"fsck_file":           {repeatable: true},

	"get_domains":     {repeatable: true},
	"get_hosts":       {repeatable: true},
	"get_devices":     {repeatable: true},
	"server_setting":  {repeatable: true},
	"server_settings": {repeatable: true},

	"create_domain": {slow: true},
	"delete_domain": {slow: true},
	"create_class":  {slow: true},
	"update_class":  {slow: true},
	"delete_class":  {slow: true},
	"create_host":   {slow: true},
	"update_host":   {slow: true},
	"delete_host":   {slow: true},
	"create_device": {slow: true},
	"set_state":     {slow: true},
	"set_weight":    {slow: true},

	"clear_cache":      {repeatable: true, slow: true},
	"do_monitor_round": {repeatable: true, slow: true},
	"httpcopy":         {slow: true},

	"fsck_status":      {repeatable: true, slow: true}, // it may wait for a lock
	"fsck_getlog":      {repeatable: true},
	"rebalance_status": {repeatable: true},
	"rebalance_test":   {repeatable: true, slow: true},
	"rebalance_start":  {slow: true},
}

// repeatable reports whether a whole request may be carried out twice.
func repeatable(command string, line []byte) bool {
	if command == "create_open" {
		// With a fid that the client chose, the second time answers fid_in_use.
		return !protocol.Truthy(protocol.Parse(bytes.TrimRight(line, "\r\n")).Arg("fid"))
	}
	return traits[command].repeatable
}

// patience is how long one tracker may take for a command.
func (c Config) patience(command string) time.Duration {
	if traits[command].slow {
		return c.Timeout + c.NodeTimeout
	}
	return c.Timeout
}

// isCommand reports whether a tracker could know the word.
func isCommand(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}
