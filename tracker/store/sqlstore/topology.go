package sqlstore

import (
	"context"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// LoadTopology implements [store.Topology].
func (s *Store) LoadTopology(ctx context.Context) (rows store.Rows, err error) {
	err = s.db.snapshot(ctx, func(t *tx) (err error) {
		rows = store.Rows{Domains: map[mogile.DomainID]mogile.DomainName{}, Settings: map[string]string{}}
		if err := loadDomains(t, rows.Domains); err != nil {
			return err
		}
		if err := loadSettings(t, rows.Settings); err != nil {
			return err
		}
		if rows.Classes, err = list(t, scanClass, "SELECT "+classColumns+" FROM class ORDER BY dmid, classid"); err != nil {
			return err
		}
		if rows.Hosts, err = list(t, scanHost, "SELECT "+hostColumns+" FROM host ORDER BY hostid"); err != nil {
			return err
		}
		rows.Devices, err = list(t, scanDevice, `SELECT devid, hostid, COALESCE(status, ''), COALESCE(weight, 0),
			COALESCE(mb_total, 0), COALESCE(mb_used, 0), COALESCE(mb_asof, 0) FROM device ORDER BY devid`)
		return err
	})
	if err == nil {
		s.learn(rows.Settings)
	}
	return rows, wrap(err, "load topology")
}

func loadDomains(t *tx, into map[mogile.DomainID]mogile.DomainName) error {
	type domain struct {
		id   mogile.DomainID
		name mogile.DomainName
	}
	all, err := list(t, func(s scanner) (d domain, err error) {
		err = s.Scan(&d.id, &d.name)
		return d, err
	}, "SELECT dmid, COALESCE(namespace, '') FROM domain")
	for _, d := range all {
		into[d.id] = d.name
	}
	return err
}

func loadSettings(t *tx, into map[string]string) error {
	all, err := list(t, func(s scanner) (kv [2]string, err error) {
		err = s.Scan(&kv[0], &kv[1])
		return kv, err
	}, "SELECT field, COALESCE(value, '') FROM server_settings")
	for _, kv := range all {
		into[kv[0]] = kv[1]
	}
	return err
}

const classColumns = "dmid, classid, COALESCE(classname, ''), mindevcount, COALESCE(hashtype, 0), COALESCE(replpolicy, '')"

func scanClass(s scanner) (c mogile.Class, err error) {
	err = s.Scan(&c.Domain, &c.ID, &c.Name, &c.MinDevCount, &c.Hash, &c.Policy)
	return c, err
}

const hostColumns = `hostid, COALESCE(hostname, ''), COALESCE(status, ''), COALESCE(hostip, ''),
	COALESCE(altip, ''), COALESCE(altmask, ''), COALESCE(http_port, 0), COALESCE(http_get_port, 0)`

func scanHost(s scanner) (h mogile.Host, err error) {
	err = s.Scan(&h.ID, &h.Name, &h.State, &h.IP, &h.AltIP, &h.AltMask, &h.Port, &h.GetPort)
	return h, err
}

func scanDevice(s scanner) (d mogile.Device, err error) {
	err = s.Scan(&d.ID, &d.Host, &d.State, &d.Weight, &d.MBTotal, &d.MBUsed, &d.AsOf)
	return d, err
}
