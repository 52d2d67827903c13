// Package admin is what mogadm does: hosts, devices, domains, classes, replica databases, fsck,
// rebalance and settings, and the check of it all.
//
// Each command is one request to a tracker, or a few; its file is named for its noun.
// What it writes when nobody looks is byte for byte what mogadm writes
// (docs/spec/cli.md §2), whose traps are left out: docs/cli.md has them.
package admin
