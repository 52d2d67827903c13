package files

import (
	"context"
	"errors"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// failed is the exit code of the old tools.
const failed = 255

// Commands are the tools.
func Commands() []*frame.Command {
	all := []*frame.Command{upload(), fetch(), ls(), rm(), mv(), info(), debug(), fids(), importCommand(), exportCommand()}
	for _, c := range all {
		c.Gentle, c.FailureExit = true, failed
		c.NeedsWords = c.Name != "ls" && c.Name != "fids"
	}
	return append(all, stats())
}

var (
	domainOption   = frame.Option{Name: "domain", Value: "domain", Help: "the domain of the keys", Config: "domain"}
	keyOption      = frame.Option{Name: "key", Value: "key", Help: "the key"}
	parallelOption = frame.Option{Name: "parallel", Value: "number", Help: "how many at once; 8 by default"}
	storingOption  = frame.Option{Name: "parallel", Value: "number", Help: "how many at once; by default 64, of which a file over 1 MiB counts for 8"}
)

// open returns the domain that is meant. The caller closes it.
func open(c *frame.Call) (*transfer.Store, error) {
	domain := c.Option("domain")
	if domain == "" {
		return nil, &frame.Failure{Err: errors.New("no domain"), Next: "give it with --domain=, or as  domain = <domain>  in a config file; see " + c.Line("domain list")}
	}
	trackers, err := c.Trackers()
	if err != nil {
		return nil, err
	}
	return transfer.New(trackers, mogile.DomainName(domain)), nil
}

// within runs f with the domain that is meant.
func within(f func(ctx context.Context, c *frame.Call, s *transfer.Store) error) func(context.Context, *frame.Call) error {
	return func(ctx context.Context, c *frame.Call) error {
		s, err := open(c)
		if err != nil {
			return err
		}
		defer s.Close()
		return f(ctx, c, s)
	}
}

// fail is an error of something done to a key, with the next step.
func fail(c *frame.Call, s *transfer.Store, doing string, key mogile.Key, err error) error {
	next := ""
	switch {
	case errors.Is(err, protocol.UnknownKey):
		next = "the domain " + string(s.Domain) + " has no key " + string(key) + "; see " + c.Line("ls --domain="+string(s.Domain))
	case errors.Is(err, protocol.UnregDomain):
		next = "there is no domain " + string(s.Domain) + "; see " + c.Line("domain list")
	case errors.Is(err, protocol.UnregClass):
		next = "the domain " + string(s.Domain) + " has no such class; see " + c.Line("class list")
	case errors.Is(err, protocol.NoDevices):
		next = "no device takes it; see " + c.Line("check")
	case errors.Is(err, protocol.KeyExists):
		next = "nothing is overwritten; delete that key first, or choose another"
	case errors.Is(err, protocol.NoneMatch):
		next = "the domain " + string(s.Domain) + " has no such key"
	case errors.Is(err, transfer.ErrNode):
		next = "see " + c.Line("check") + " and " + c.Line("debug --key="+quote(string(key)))
	}
	return &frame.Failure{Doing: doing, Err: err, Next: next}
}

// quote makes a word safe for a shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_,./:@%+-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// oneOf is the value of an argument or of the option that old tools have for it.
func oneOf(c *frame.Call, argument, option string) (string, error) {
	value := c.Arg(argument)
	if value == "" {
		value = c.Option(option)
	}
	if value == "" {
		return "", errors.New("no " + argument + " was given: name it, or give --" + option + "=")
	}
	return value, nil
}
