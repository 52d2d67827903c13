// Package mogilefs is the door of the plugin: importing it adds MogileFS to a
// Caddy build.
//
//	xcaddy build --with github.com/mogilefs/caddy-mogilefs
//
// Package caddymodule registers the app mogilefs and the handlers mogilefs and
// mogilefs_storage; their documentation is there. There is nothing to call here.
package mogilefs

import (
	_ "github.com/mogilefs/caddy-mogilefs/caddymodule" // registers the modules
)
