// Command caddy is stock Caddy with the MogileFS plugin in it: what
//
//	xcaddy build --with github.com/mogilefs/caddy-mogilefs
//
// builds, with the versions that this repository is tested with.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mogilefs/caddy-mogilefs"
)

func main() { caddycmd.Main() }
