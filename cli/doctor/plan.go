package doctor

import (
	"context"
	"net/netip"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Reader turns a configuration into a plan. It returns an error when the file can't be read,
// or says nothing that could be looked at; a configuration that is refused is a plan with
// Refused.
type Reader func(ctx context.Context, file, adapter string) (*Plan, error)

// Plan is a configuration, as far as it is looked at here.
type Plan struct {
	// Refused is why Caddy would not run it; nil when it would.
	Refused error
	// Superuser says that this process may write everywhere, so that rights were not seen.
	Superuser bool
	// Tracker is that of the process, or nil.
	Tracker *Tracker
	Nodes   []Node
	Sites   []Site
	// Admin is where Caddy's own admin endpoint listens.
	Admin Listener
}

// Listener is a place to listen.
type Listener struct {
	Address string
	// Beyond says that other machines reach it.
	Beyond bool
	// TLS says that it is encrypted.
	TLS bool
}

// Tracker is a tracker of the process.
type Tracker struct {
	Listen []Listener
	// Allow and AdminAllow are empty when only this machine may.
	Allow, AdminAllow []netip.Prefix
	// ClientCertificates says that clients of its TLS listeners have to show one.
	ClientCertificates bool
	Database           Database
}

// Database is where a tracker keeps its tables.
type Database struct {
	// Engine is mysql, postgres or sqlite; Name says where it is, without a password.
	Engine, Name string
	// Connections is how many the tracker opens at most.
	Connections int
	// Vitals asks it; see tracker/store/sqlstore/vitals. nil when nobody knows how.
	Vitals func(context.Context) (map[string]string, error)
}

// Node is a storage node of the process.
type Node struct {
	Name, Root string
	// Address is where others reach it, as an IP address and a port.
	Address string
	// Management is the side channel; an empty address means that there is none.
	Management Listener
	// Durable says that an upload is on disk when it is answered.
	Durable bool
	// Registers says that it enters itself in trackers.
	Registers bool
	// Declared are devices that are created when they are absent.
	Declared []mogile.DevID
	// WriteFrom and ReadFrom are the ranges that the configuration names; ReadAll says
	// that it names none for reading.
	WriteFrom, ReadFrom []netip.Prefix
	ReadAll             bool
	// Disks looks at the device directories.
	Disks func() ([]Disk, error)
}

// Disk is a device directory of this machine.
type Disk struct {
	Device mogile.DevID
	Path   string
	// MountPoint says that it is one, Recorded that it was one when it was last served.
	MountPoint, Recorded bool
	// Available is in bytes.
	Available int64
	ReadOnly  bool
	// Trouble is why nothing can be written there; nil when something can.
	Trouble error
}

// Site is a place where HTTP reaches a storage node or the edge.
type Site struct {
	// Node is the storage node's name; empty for an edge.
	Node   string
	Listen []Listener
	// Hosts are host names without which the site is not reached; empty means none.
	Hosts []string
	// Changes says that the edge takes more than reading; Guarded, that something asks
	// who it is first: a signature, or an authentication.
	Changes, Guarded bool
}
