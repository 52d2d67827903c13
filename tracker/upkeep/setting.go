package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

func (u *Upkeep) serverSetting(ctx context.Context, in call) error {
	if !in.truthy("key") {
		return protocol.Fail(protocol.BadParams)
	}
	value, err := u.store.Setting(ctx, in.Arg("key"))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read setting: %w", err)
	}
	in.out.Add("key", in.Arg("key"))
	in.out.Add("value", value)
	return nil
}

func (u *Upkeep) serverSettings(ctx context.Context, in call) error {
	settings, err := u.store.AllSettings(ctx)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	var shown []string
	for _, field := range slices.Sorted(maps.Keys(settings)) {
		if !strings.HasPrefix(field, "fsck_") || field == "fsck_checksum" {
			shown = append(shown, field)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	in.out.AddInt("key_count", int64(len(shown)))
	for i, field := range shown {
		in.out.Add(numbered("key_", i), field)
		in.out.Add(numbered("value_", i), settings[field])
	}
	return nil
}

const (
	slavePrefix = "slave_"
	// slaveVersion counts the changes of slave_ settings, for trackers that keep
	// connections to slaves.
	slaveVersion = "slave_version"
)

func (u *Upkeep) setServerSetting(ctx context.Context, in call) error {
	field := in.Arg("key")
	if !protocol.Truthy(field) {
		return protocol.Fail(protocol.BadParams)
	}
	clean, ok := cleanerOf(field)
	if !ok {
		return protocol.Fail(protocol.NotWritable)
	}
	value, err := clean(in.Arg("value"))
	if err != nil && !errors.Is(err, errUnset) {
		return err
	}
	unset := errors.Is(err, errUnset)
	return u.change(ctx, func(now map[string]string) (store.SettingChanges, error) {
		changes := store.SettingChanges{Set: map[string]string{field: value}}
		if unset {
			changes = store.SettingChanges{Set: map[string]string{}, Unset: []string{field}}
		}
		if strings.HasPrefix(field, slavePrefix) {
			version := now[slaveVersion]
			if field == slaveVersion {
				version = value
			}
			changes.Set[slaveVersion] = strconv.FormatInt(protocol.Num(version)+1, 10)
			changes.Unset = slices.DeleteFunc(changes.Unset, func(field string) bool { return field == slaveVersion })
		}
		return changes, nil
	})
}

// errUnset: the value means that the setting is removed.
var errUnset = errors.New("unset")

// cleaner checks a setting's value and returns what is stored of it, errUnset, or
// an answer.
type cleaner func(value string) (string, error)

// cleanerOf is the table of writable settings (docs/spec/tracker-protocol.md §8.1).
func cleanerOf(field string) (cleaner, bool) {
	switch field {
	case "skip_devcount", "skip_mkcol", "case_sensitive_list_keys":
		return cleanBool, true
	case "memcache_servers", "network_zones":
		return cleanNothing, true
	case "memcache_ttl", "internal_queue_limit":
		return cleanNumber, true
	case "fsck_checksum":
		return cleanFsckChecksum, true
	}
	switch {
	case strings.HasPrefix(field, slavePrefix):
		return cleanSlave, true
	case strings.HasPrefix(field, "queue_"):
		return cleanNothing, true
	case strings.HasPrefix(field, "zone_"):
		return cleanNetmasks, true
	}
	return nil, false
}

func cleanNothing(value string) (string, error) { return value, nil }

func cleanSlave(value string) (string, error) {
	if !protocol.Truthy(value) {
		return "", errUnset
	}
	return value, nil
}

func cleanBool(value string) (string, error) {
	lower := strings.ToLower(value)
	for _, begin := range []string{"0", "f", "off", "n"} {
		if value == "" || strings.HasPrefix(lower, begin) {
			return "0", nil
		}
	}
	for _, begin := range []string{"1", "t", "on", "y"} {
		if strings.HasPrefix(lower, begin) {
			return "1", nil
		}
	}
	return "", protocol.Failf(protocol.InvalidFormat, "Unknown format")
}

func cleanNumber(value string) (string, error) {
	switch {
	case !protocol.Truthy(value):
		return "0", nil
	case strings.Trim(value, "0123456789") != "":
		return "", protocol.Failf(protocol.InvalidFormat, "Must be numeric")
	}
	return value, nil
}

func cleanNetmasks(value string) (string, error) {
	for _, mask := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if !topology.ValidNetmask(mask) {
			return "", protocol.Failf(protocol.InvalidFormat, "Not a netmask: %s", mask)
		}
	}
	return value, nil
}

func cleanFsckChecksum(value string) (string, error) {
	switch value {
	case "class":
		return "", errUnset
	case "off", "MD5", "SHA-1":
		return value, nil
	}
	return "", protocol.Failf(protocol.InvalidFormat, "Must be off, class, MD5 or SHA-1")
}
