package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
	"github.com/mogilefs/caddy-mogilefs/tracker/upkeep"
)

// Store is the roles of the store that commands use.
type Store interface {
	store.Files
	store.Copies
	store.Uploads
	store.Queue
	store.Work
	store.Topology
	upkeep.Store
}

// Nodes is what commands have to say to storage nodes.
type Nodes interface {
	// Size asks for the length of what is at url. found is false when the node
	// says that nothing is; err means that it could not be asked.
	Size(ctx context.Context, url string) (n int64, found bool, err error)
	// MakeDirs makes the directories that the fid's path has on dev. base is
	// http://ip:port. Failures show when the file is put there. Whether the nodes
	// need directories at all (skip_mkcol) is for the implementation to know.
	MakeDirs(ctx context.Context, dev mogile.DevID, base string, fid mogile.FID)
	// Digest has what is at url hashed.
	Digest(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error)
}

// Jobs is the tracker's background work.
type Jobs interface {
	upkeep.Jobs
	// Refresh reads the topology, looks at all devices, and then returns.
	Refresh(ctx context.Context) error
	// Ready returns at once when the devices have been looked at since the start,
	// else it waits for that.
	Ready(ctx context.Context) error
}

// Config is what commands work with. Only the fields that say so may be nil.
type Config struct {
	Store    Store
	Topology *topology.Live
	Nodes    Nodes
	Jobs     Jobs
	// Changed, or nil, is called after a commit that changed what the key means
	// and before the answer.
	Changed func(domain mogile.DomainName, key mogile.Key)
	// ValidPolicy says what is wrong with a replication policy. nil: every policy
	// is, but none at all.
	ValidPolicy func(ctx context.Context, policy string) error
	// Hostname is what the settings fsck_host and rebal_host call this tracker; empty
	// means what the system calls the machine.
	Hostname string
	// NodeTimeout bounds how long get_paths waits for nodes in all; 0 means 2 s.
	NodeTimeout time.Duration
	// Rand returns numbers in [0,1); nil means math/rand/v2.
	Rand   func() float64
	Logger *zap.Logger
}

// Commands carries commands out. Its methods may be called by many goroutines.
type Commands struct {
	store       Store
	topology    *topology.Live
	nodes       Nodes
	jobs        Jobs
	upkeep      *upkeep.Upkeep
	changed     func(domain mogile.DomainName, key mogile.Key)
	validPolicy func(ctx context.Context, policy string) error
	nodeTimeout time.Duration
	rand        func() float64
	log         *zap.Logger
}

// defaultNodeTimeout is node_timeout of docs/spec/storage-node.md §6.
const defaultNodeTimeout = 2 * time.Second

// New allocates Commands.
func New(config Config) *Commands {
	c := &Commands{
		store:       config.Store,
		topology:    config.Topology,
		nodes:       config.Nodes,
		jobs:        config.Jobs,
		changed:     config.Changed,
		validPolicy: config.ValidPolicy,
		nodeTimeout: cmp.Or(config.NodeTimeout, defaultNodeTimeout),
		rand:        config.Rand,
		log:         config.Logger,
		upkeep: upkeep.New(upkeep.Config{
			Store: config.Store, Topology: config.Topology, Jobs: config.Jobs, Hostname: config.Hostname,
		}),
	}
	if c.changed == nil {
		c.changed = func(mogile.DomainName, mogile.Key) {}
	}
	if c.validPolicy == nil {
		c.validPolicy = func(_ context.Context, policy string) error { return fmt.Errorf("unknown policy %s", policy) }
	}
	if c.rand == nil {
		c.rand = rand.Float64
	}
	return c
}

// handler carries out one command of the wire: it reads arguments from in and
// writes the answer to in.out.
type handler func(c *Commands, ctx context.Context, in *call) error

// table is every command there is.
var table = map[string]handler{
	"noop": (*Commands).noop,

	"create_open":  (*Commands).createOpen,
	"create_close": (*Commands).createClose,
	// Ours alone: docs/compatibility.md.
	"create_close_copies": (*Commands).createCloseCopies,
	"get_paths":           (*Commands).getPaths,
	"file_info":           (*Commands).fileInfo,
	"file_debug":          (*Commands).fileDebug,
	"list_keys":           (*Commands).listKeys,
	"list_fids":           (*Commands).listFIDs,
	"delete":              (*Commands).deleteKey,
	"rename":              (*Commands).rename,
	"updateclass":         (*Commands).updateFileClass,
	"edit_file":           (*Commands).editFile,
	// Ours alone, too.
	"fsck_file": (*Commands).fsckFile,

	"get_domains":   (*Commands).getDomains,
	"create_domain": (*Commands).createDomain,
	"delete_domain": (*Commands).deleteDomain,
	"create_class":  (*Commands).createClass,
	"update_class":  (*Commands).updateClass,
	"delete_class":  (*Commands).deleteClass,
	"get_hosts":     (*Commands).getHosts,
	"create_host":   (*Commands).createHost,
	"update_host":   (*Commands).updateHost,
	"delete_host":   (*Commands).deleteHost,
	"get_devices":   (*Commands).getDevices,
	"create_device": (*Commands).createDevice,
	"set_state":     (*Commands).setState,
	"set_weight":    (*Commands).setWeight,

	"clear_cache":        (*Commands).refresh,
	"do_monitor_round":   (*Commands).refresh,
	"server_setting":     (*Commands).keepUp,
	"server_settings":    (*Commands).keepUp,
	"set_server_setting": (*Commands).keepUp,

	"fsck_start":           (*Commands).keepUp,
	"fsck_stop":            (*Commands).keepUp,
	"fsck_reset":           (*Commands).keepUp,
	"fsck_status":          (*Commands).keepUp,
	"fsck_getlog":          (*Commands).keepUp,
	"fsck_clearlog":        (*Commands).keepUp,
	"rebalance_set_policy": (*Commands).keepUp,
	"rebalance_test":       (*Commands).keepUp,
	"rebalance_start":      (*Commands).keepUp,
	"rebalance_status":     (*Commands).keepUp,
	"rebalance_stop":       (*Commands).keepUp,
	"rebalance_reset":      (*Commands).keepUp,

	"replicate_now": (*Commands).keepUp,
	"httpcopy":      (*Commands).keepUp,
	"sleep":         (*Commands).sleep,
	"test":          (*Commands).test,
}

// Known reports whether there is a command of that name.
func Known(name string) bool { return table[name] != nil }

// call is one request being answered.
type call struct {
	protocol.Request
	zone topology.Zone
	out  protocol.Pairs
}

// keepUp carries out what operators keep the installation in order with.
func (c *Commands) keepUp(ctx context.Context, in *call) error {
	return c.upkeep.Run(ctx, in.Request, &in.out)
}

func (in *call) domain() mogile.DomainName { return mogile.DomainName(in.Arg("domain")) }
func (in *call) key() mogile.Key           { return mogile.Key(in.Arg("key")) }
func (in *call) truthy(name string) bool   { return protocol.Truthy(in.Arg(name)) }
func (in *call) num(name string) int64     { return protocol.Num(in.Arg(name)) }

// numbered is the name of the pair about the i-th of many: clients count from 1.
func numbered(prefix string, i int) string { return prefix + strconv.Itoa(i+1) }

// Run carries out one request of a client at peer.
func (c *Commands) Run(ctx context.Context, req protocol.Request, peer netip.Addr) protocol.Response {
	run, known := table[req.Command]
	if !known {
		return protocol.Response{Err: protocol.Fail(protocol.UnknownCommand)}
	}
	in := &call{Request: req, zone: topology.Zone{Alt: req.Arg("zone") == "alt", Peer: peer}}
	err := c.jobs.Ready(ctx)
	if err == nil {
		err = run(c, ctx, in)
	}
	if err != nil {
		return protocol.Response{Err: c.answer(req.Command, err)}
	}
	return protocol.Response{Pairs: in.out}
}

// answer is what the client is told of an error. What is more than an answer is
// logged: here, and nowhere else.
func (c *Commands) answer(command string, err error) *protocol.Error {
	var refusal *protocol.Error
	if !errors.As(err, &refusal) {
		refusal = protocol.Fail(protocol.Failure)
	}
	if error(refusal) != err {
		c.log.Error("command went wrong", zap.String("command", command), zap.Error(err))
	}
	return refusal
}

// snapshot is the cluster as it is known once anything is known.
func (c *Commands) snapshot(ctx context.Context) (*topology.Snapshot, error) {
	if err := c.jobs.Ready(ctx); err != nil {
		return nil, fmt.Errorf("wait for the first monitor round: %w", err)
	}
	return c.topology.Snapshot(), nil
}

// fresh is the cluster as the database has it now. Commands that change it look
// names up there, not in what the last poll saw.
func (c *Commands) fresh(ctx context.Context) (*topology.Snapshot, error) {
	if err := c.topology.Reload(ctx); err != nil {
		return nil, err
	}
	return c.topology.Snapshot(), nil
}

// settle makes a committed change of the cluster visible to the client's next
// command. The change stands even when that goes wrong, and the next poll shows
// it, so the client is not told.
func (c *Commands) settle(ctx context.Context) {
	if err := c.jobs.Refresh(ctx); err != nil {
		c.log.Warn("refresh after a change of the cluster", zap.Error(err))
	}
}
