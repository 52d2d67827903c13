package console

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// DeviceChange is what a device is to become.
type DeviceChange struct {
	// Host must be the name of the host that has it, so that a slip of the pen hits none.
	Host  mogile.HostName `json:"host"`
	DevID mogile.DevID    `json:"devid"`
	// One of these, or both. Dead means that its files are lost, and are copied anew.
	Status mogile.DevState `json:"status"`
	Weight *int            `json:"weight"`
}

// ChangeDevice sets a device's state, its weight, or both.
func (c *Console) ChangeDevice(ctx context.Context, d DeviceChange) error {
	switch {
	case d.Host == "" || d.DevID == 0:
		return refuse(http.StatusBadRequest, "host or devid is missing: name the device, and the host that has it")
	case d.Status == "" && d.Weight == nil:
		return refuse(http.StatusBadRequest, "nothing is to change: give status, weight, or both")
	}
	named := []string{"host", string(d.Host), "device", d.DevID.String()}
	if d.Status != "" {
		if _, err := mogile.ParseDevState(string(d.Status)); err != nil {
			return &Error{http.StatusBadRequest, err}
		}
		if _, err := c.do(ctx, "set_state", append(named, "state", string(d.Status))...); err != nil {
			return err
		}
	}
	if d.Weight == nil {
		return nil
	}
	_, err := c.do(ctx, "set_weight", append(named, "weight", strconv.Itoa(*d.Weight))...)
	return err
}

// HostChange is what a host is to become.
type HostChange struct {
	Host   mogile.HostName  `json:"host"`
	Status mogile.HostState `json:"status"`
}

// ChangeHost sets a host's state.
func (c *Console) ChangeHost(ctx context.Context, h HostChange) error {
	if h.Host == "" {
		return refuse(http.StatusBadRequest, "host is missing: name it as topology does")
	}
	if _, err := mogile.ParseHostState(string(h.Status)); err != nil {
		return &Error{http.StatusBadRequest, err}
	}
	_, err := c.do(ctx, "update_host", "host", string(h.Host), "status", string(h.Status))
	return err
}

// Purge is what is to be forgotten. It is done in all caches of this process: there may
// be several over one database, and one that forgets too much only asks again.
type Purge struct {
	// Domain is required with Key and Prefix; with All it may be empty for all domains.
	Domain mogile.DomainName `json:"domain,omitempty"`
	// One of the three.
	Key    mogile.Key `json:"key,omitempty"`
	Prefix mogile.Key `json:"prefix,omitempty"`
	All    bool       `json:"all,omitempty"`
}

// Purged is how much was forgotten.
type Purged struct {
	// Locations is how many keys were remembered to have a file.
	Locations int `json:"locations"`
	// Contents is how many files were in memory.
	Contents int `json:"contents"`
}

// Validate says what is missing or too much.
func (p Purge) Validate() error {
	given := 0
	for _, is := range []bool{p.Key != "", p.Prefix != "", p.All} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return refuse(http.StatusBadRequest, "purge: give one of key, prefix, and all")
	case p.Domain == "" && !p.All:
		return refuse(http.StatusBadRequest, "purge: give the domain of the key or prefix")
	}
	return nil
}

// Forget has this process forget what it remembers.
func (c *Console) Forget(p Purge) (Purged, error) {
	if err := p.Validate(); err != nil {
		return Purged{}, err
	}
	if c.config.Purge == nil {
		return Purged{}, nil
	}
	return c.config.Purge(p), nil
}
