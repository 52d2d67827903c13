package upkeep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// Store is what these commands read and write.
type Store interface {
	store.Settings
	store.FsckLog
	store.Clock
	MaxFID(ctx context.Context) (mogile.FID, error)
	WorkLength(ctx context.Context, k store.WorkKind) (int64, error)
	ReleaseAll(ctx context.Context, q store.QueueName) (int64, error)
}

// Jobs is the background work that these commands ask for.
type Jobs interface {
	// Wake says that a queue has got work, or that who fills it has.
	Wake(q store.QueueName)
	// Copy makes a copy of a fid on the device to, out of that on the device from, has
	// it verified and records it. refusal says in words why nodes, devices or the fid
	// don't allow it, and is empty when the copy is there; err is that of the store.
	Copy(ctx context.Context, fid mogile.FID, from, to mogile.DevID) (refusal string, err error)
}

// Config is what the commands work with.
type Config struct {
	Store    Store
	Topology *topology.Live
	Jobs     Jobs
	// Hostname is what the settings fsck_host and rebal_host call this tracker; empty
	// means what the system calls the machine.
	Hostname string
}

// Upkeep carries the commands out. Its methods may be called by many goroutines.
type Upkeep struct {
	store    Store
	topology *topology.Live
	jobs     Jobs
	hostname string
}

// New allocates an Upkeep.
func New(config Config) *Upkeep {
	return &Upkeep{store: config.Store, topology: config.Topology, jobs: config.Jobs, hostname: config.Hostname}
}

// handler carries out one command: it reads arguments from in and writes the answer to
// in.out.
type handler func(u *Upkeep, ctx context.Context, in call) error

// table is the commands of this package.
var table = map[string]handler{
	"server_setting":     (*Upkeep).serverSetting,
	"server_settings":    (*Upkeep).serverSettings,
	"set_server_setting": (*Upkeep).setServerSetting,

	"fsck_start":    (*Upkeep).fsckStart,
	"fsck_stop":     (*Upkeep).fsckStop,
	"fsck_reset":    (*Upkeep).fsckReset,
	"fsck_status":   (*Upkeep).fsckStatus,
	"fsck_getlog":   (*Upkeep).fsckGetLog,
	"fsck_clearlog": (*Upkeep).fsckClearLog,

	"rebalance_set_policy": (*Upkeep).rebalanceSetPolicy,
	"rebalance_test":       (*Upkeep).rebalanceTest,
	"rebalance_start":      (*Upkeep).rebalanceStart,
	"rebalance_status":     (*Upkeep).rebalanceStatus,
	"rebalance_stop":       (*Upkeep).rebalanceStop,
	"rebalance_reset":      (*Upkeep).rebalanceReset,

	"replicate_now": (*Upkeep).replicateNow,
	"httpcopy":      (*Upkeep).httpCopy,
}

// Run carries out a request, and adds the answer to out. A command that is none of this
// package's is unknown.
func (u *Upkeep) Run(ctx context.Context, req protocol.Request, out *protocol.Pairs) error {
	run, known := table[req.Command]
	if !known {
		return protocol.Fail(protocol.UnknownCommand)
	}
	return run(u, ctx, call{Request: req, out: out})
}

// call is one request being answered.
type call struct {
	protocol.Request
	out *protocol.Pairs
}

func (in call) truthy(name string) bool { return protocol.Truthy(in.Arg(name)) }
func (in call) num(name string) int64   { return protocol.Num(in.Arg(name)) }

// numbered is the name of the pair about the i-th of many: clients count from 1.
func numbered(prefix string, i int) string { return prefix + strconv.Itoa(i+1) }

// self is what the settings call this tracker.
func (u *Upkeep) self() (string, error) {
	if u.hostname != "" {
		return u.hostname, nil
	}
	return os.Hostname()
}

// change changes settings. What decide refuses is the answer.
func (u *Upkeep) change(ctx context.Context, decide func(now map[string]string) (store.SettingChanges, error)) error {
	err := u.store.ChangeSettings(ctx, decide)
	if err == nil || isAnswer(err) {
		return err
	}
	return fmt.Errorf("change settings: %w", err)
}

// isAnswer reports whether the protocol has a code for err.
func isAnswer(err error) bool {
	var answer *protocol.Error
	return errors.As(err, &answer)
}
