// Package sign is caddy mogilefs sign, which makes signed URLs (docs/signed-urls.md). It
// asks nobody: whoever has the secret can sign.
package sign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/edge/signature"
)

// lasting is how long a URL is good when nothing else is said.
const lasting = time.Hour

// Command is the command.
func Command() *frame.Command {
	return &frame.Command{
		Name: "sign", Args: []string{"url..."}, Short: "Sign URLs, or paths, for the edge", Run: run,
		Long: "Each is written with its signature, on a line of its own. The path is the one that clients\n" +
			"ask for, before handle_path takes its beginning away.",
		Options: []frame.Option{
			{Name: "key", Value: "id", Help: "the key's id in the edge's configuration"},
			{Name: "secret", Value: "file", Help: "the file that the key's secret is in; - for what comes in"},
			{Name: "method", Value: "method", Help: "GET, with which HEAD is good too, by default"},
			{Name: "for", Value: "duration", Help: "how long it is good, such as 10m or 24h; 1h by default"},
			{Name: "expires", Value: "seconds", Help: "when it is over, in seconds since 1970, instead"},
		},
	}
}

func run(_ context.Context, c *frame.Call) error {
	key, err := keyOf(c)
	if err != nil {
		return frame.Fail("Error signing", err, "name the key with --key=ID, and the file of its secret with --secret=FILE")
	}
	until, err := expiry(c, time.Now())
	if err != nil {
		return frame.Fail("Error signing", err, "say for how long with --for=1h, or until when with --expires=")
	}
	method := c.Option("method")
	if method == "" {
		method = "GET"
	}
	for _, target := range c.Rest("url") {
		signed, err := key.Sign(method, target, until)
		if err != nil {
			return frame.Fail("Error signing", err, "docs/signed-urls.md says what can be signed")
		}
		fmt.Fprintln(c.Stdout, signed)
	}
	return nil
}

// keyOf reads the secret, without the end of its last line, as the edge's {file.*} does.
func keyOf(c *frame.Call) (signature.Key, error) {
	name := c.Option("secret")
	if c.Option("key") == "" || name == "" {
		return signature.Key{}, errors.New("want a key and its secret")
	}
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(c.Stdin)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return signature.Key{}, fmt.Errorf("read secret: %w", err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	key := signature.Key{ID: c.Option("key"), Secret: []byte(secret)}
	return key, key.Validate()
}

func expiry(c *frame.Call, now time.Time) (time.Time, error) {
	span, at := c.Option("for"), c.Option("expires")
	switch {
	case span != "" && at != "":
		return time.Time{}, errors.New("--for= and --expires= say the same")
	case at != "":
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("expires %q: want seconds since 1970", at)
		}
		return time.Unix(seconds, 0), nil
	case span == "":
		return now.Add(lasting), nil
	}
	d, err := time.ParseDuration(span)
	if err != nil || d <= 0 {
		return time.Time{}, fmt.Errorf("for %q: want a time such as 10m or 24h", span)
	}
	return now.Add(d), nil
}
