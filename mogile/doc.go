// Package mogile holds the words that every room of caddy-mogilefs shares: the
// file id and the path it has on a device, domains, classes and keys, hosts and
// devices with what their states permit, checksums.
//
// A word here is a type of its own, so that a fid can't be passed for a devid
// nor a domain for a key. Nothing here does I/O, keeps state or knows a clock.
package mogile
