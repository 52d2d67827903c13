package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// noArgs refuses arguments.
func noArgs(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// oneFlag reads a word without arguments that may stand once.
func oneFlag(d *caddyfile.Dispenser, to *bool) error {
	if *to {
		return d.Errf("%s stands twice", d.Val())
	}
	*to = true
	return noArgs(d)
}

// oneArg reads exactly one argument of a word that may stand once.
func oneArg(d *caddyfile.Dispenser, to *string) error {
	if *to != "" {
		return d.Errf("%s stands twice", d.Val())
	}
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

// someArgs reads one argument or more.
func someArgs(d *caddyfile.Dispenser, to []string) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.ArgErr()
	}
	return append(to, args...), nil
}

// onOff reads on or off, and keeps it in word.
func onOff(d *caddyfile.Dispenser, word *string) (bool, error) {
	if err := oneArg(d, word); err != nil {
		return false, err
	}
	switch *word {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, d.Errf("%s: want on or off", *word)
}

// oneSize reads exactly one size in bytes, such as 64MiB, of a word that may stand
// once.
func oneSize(d *caddyfile.Dispenser, to *int64) error {
	if *to != 0 {
		return d.Errf("%s stands twice", d.Val())
	}
	var word string
	if err := oneArg(d, &word); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(word)
	if err != nil || n == 0 || n > 1<<62 {
		return d.Errf("%s: want a size such as 64MiB", word)
	}
	*to = int64(n)
	return nil
}

// oneDuration reads exactly one duration of a word that may stand once.
func oneDuration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	word := d.Val()
	if *to != 0 {
		return d.Errf("%s stands twice", word)
	}
	var value string
	if err := oneArg(d, &value); err != nil {
		return err
	}
	dur, err := caddy.ParseDuration(value)
	if err != nil || dur <= 0 {
		return d.Errf("%s %s: want a duration such as 2s", word, value)
	}
	*to = caddy.Duration(dur)
	return nil
}

// offOrSize reads off, a size, or nothing.
func offOrSize(d *caddyfile.Dispenser, off *bool, size *int64) error {
	if d.CountRemainingArgs() == 0 {
		return nil
	}
	d.NextArg()
	if d.Val() == "off" {
		*off = true
		return noArgs(d)
	}
	d.Prev()
	return oneSize(d, size)
}
