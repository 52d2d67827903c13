package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/mogilefs/caddy-mogilefs/cli/doctor"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/vitals"
)

// readPlan reads a configuration for doctor. It provisions all of it, as caddy validate
// does, and starts none of it.
func readPlan(ctx context.Context, file, adapter string) (*doctor.Plan, error) {
	config, err := readConfig(file, adapter)
	if err != nil {
		return nil, err
	}
	plan := &doctor.Plan{Admin: adminListener(config), Superuser: os.Geteuid() == 0}
	app := new(App)
	if raw := config.AppsRaw["mogilefs"]; raw != nil {
		if err := json.Unmarshal(raw, app); err != nil {
			return nil, fmt.Errorf("read the mogilefs app of %s: %w", file, err)
		}
	}
	if app.Tracker != nil {
		plan.Tracker = app.Tracker.plan()
	}
	for _, name := range app.nodeNames() {
		plan.Nodes = append(plan.Nodes, app.Storage[name].plan(name))
	}
	if plan.Sites, err = planSites(config.AppsRaw["http"], app); err != nil {
		return nil, fmt.Errorf("read the http app of %s: %w", file, err)
	}
	// Its log is not ours, and what it would say stands in the error.
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	plan.Refused = caddy.Validate(config)
	return plan, ctx.Err()
}

func readConfig(file, adapter string) (*caddy.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if adapter == "" && !json.Valid(text) {
		adapter = "caddyfile"
	}
	if adapter != "" {
		a := caddyconfig.GetAdapter(adapter)
		if a == nil {
			return nil, fmt.Errorf("there is no config adapter %s", adapter)
		}
		if text, _, err = a.Adapt(text, map[string]any{"filename": file}); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	config := new(caddy.Config)
	if err := json.Unmarshal(text, config); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return config, nil
}

func adminListener(config *caddy.Config) doctor.Listener {
	if config.Admin == nil || config.Admin.Disabled || config.Admin.Listen == "" {
		return doctor.Listener{}
	}
	return planListener(config.Admin.Listen)
}

func planListener(addr string) doctor.Listener {
	plain := plainAddress(addr)
	return doctor.Listener{Address: plain, Beyond: beyondThisMachine(plain), TLS: plain != addr}
}

func (t *Tracker) plan() *doctor.Tracker {
	p := new(doctor.Tracker)
	if len(t.Listen) == 0 {
		t.Listen = []string{defaultTrackerListen}
	}
	for _, addr := range t.Listen {
		p.Listen = append(p.Listen, planListener(addr))
	}
	if err := t.TrackerAccess.provision(); err == nil { // otherwise Caddy refuses the config
		p.Allow, p.AdminAllow = t.allow, t.adminAllow
	}
	p.ClientCertificates = t.TLS != nil && len(t.TLS.ConnectionPolicies) > 0
	if t.TLS != nil {
		for _, policy := range t.TLS.ConnectionPolicies {
			p.ClientCertificates = p.ClientCertificates && policy.ClientAuthentication != nil
		}
	}
	p.Database = planDatabase(t.DatabaseRaw)
	return p
}

// planDatabase knows the databases of this package; others are left alone.
func planDatabase(raw json.RawMessage) doctor.Database {
	named := struct {
		Engine string `json:"engine"`
	}{"sqlite"}
	if raw != nil {
		_ = json.Unmarshal(raw, &named) // what is no such JSON is refused by Caddy
	}
	p := doctor.Database{Engine: named.Engine}
	info, err := caddy.GetModule("mogilefs.database." + named.Engine)
	if err != nil {
		return p
	}
	db, ok := info.New().(interface {
		Database
		caddy.Provisioner
	})
	if !ok || raw != nil && json.Unmarshal(raw, db) != nil || db.Provision(caddy.Context{}) != nil {
		return p
	}
	p.Name = db.Identity()
	switch db := db.(type) {
	case *SQLite:
		p.Vitals = func(ctx context.Context) (map[string]string, error) { return vitals.SQLite(ctx, db.Path) }
	case *MySQL:
		p.Connections = connections(db.Connections)
		p.Vitals = func(ctx context.Context) (map[string]string, error) {
			return vitals.MySQL(ctx, vitals.Login{DSN: db.DSN, User: db.User, Password: db.Password})
		}
	case *Postgres:
		p.Connections = connections(db.Connections)
		p.Vitals = func(ctx context.Context) (map[string]string, error) {
			return vitals.Postgres(ctx, vitals.Login{DSN: db.DSN, User: db.User, Password: db.Password})
		}
	}
	return p
}

// connections is the default that the fields' comments name.
func connections(n int) int {
	if n == 0 {
		return 32
	}
	return n
}

func (n *StorageNode) plan(name string) doctor.Node {
	if n == nil {
		n = new(StorageNode) // JSON's null, which Caddy refuses
	}
	p := doctor.Node{
		Name: name, Root: n.Root, Address: n.Address, Durable: !n.Fast, Registers: n.Register || n.RegisterAt != nil,
		ReadAll: n.ReadFrom == nil,
	}
	if p.Address == "" {
		p.Address = defaultNodeAddress
	}
	switch n.Management {
	case "":
		p.Management = planListener(defaultManagement)
	case managementOff:
	default:
		p.Management = planListener(n.Management)
	}
	for _, side := range []struct {
		words []string
		to    *[]netip.Prefix
	}{{n.WriteFrom, &p.WriteFrom}, {n.ReadFrom, &p.ReadFrom}} {
		if peers, err := parsePeers(side.words); err == nil { // otherwise Caddy refuses the config
			*side.to = peers.Ranges
		}
	}
	config, err := n.nodeConfig()
	if err != nil || n.Root == "" {
		return p
	}
	p.Root, p.Declared = config.Root, config.Devices
	p.Disks = func() ([]doctor.Disk, error) { return planDisks(config.Root) }
	return p
}

func planDisks(root string) ([]doctor.Disk, error) {
	found, err := disk.Look(root)
	var disks []doctor.Disk
	for _, f := range found {
		disks = append(disks, doctor.Disk{
			Device: f.Device, Path: f.Path, MountPoint: f.MountPoint, Recorded: f.Recorded,
			Available: f.Space.Available, ReadOnly: f.Space.ReadOnly, Trouble: f.Trouble,
		})
	}
	return disks, err
}
