package caddymodule

import (
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

func TestWordsThatStandOnceAreRefusedTwice(t *testing.T) {
	for _, words := range []string{
		"tracker {\n database sqlite a\n database sqlite b\n }",
		"tracker {\n workers delete 1\n workers delete 2\n }",
		"tracker {\n setting node_timeout 1\n setting node_timeout 2\n }",
		"storage n {\n root a\n root b\n }",
		"storage n {\n durable on\n durable off\n }",
		"domain d {\n class c 1 {\n mindevcount 2\n }\n }",
		"domain d {\n class c {\n replpolicy A()\n replpolicy B()\n }\n }",
	} {
		wantAdaptError(t, "{\n mogilefs {\n "+words+"\n }\n}\n")
	}
	for _, words := range []string{
		"key a\n key b", "cache_control a\n cache_control b", "location_cache off\n location_cache 2MiB",
		"location_cache {\n ttl 1s\n ttl 2s\n }", "upload {\n max_size 1\n max_size 2\n }",
		"upload {\n copies 1\n copies 2\n }", "upload {\n copies none\n }", "upload {\n copies 0\n }",
		"upload {\n checksum on\n checksum off\n }", "upload {\n }\n upload {\n }",
		"signed {\n key a 0123456789abcdef\n }\n signed {\n key b 0123456789abcdef\n }", "signed", "signed {\n }",
		"signed {\n key a\n }", "signed {\n secret a\n }", "signed on {\n key a b\n }",
		"timeouts {\n idle 1s\n idle 2s\n }", "timeouts {\n }\n timeouts {\n }",
	} {
		wantAdaptError(t, ":8080 {\n mogilefs {\n "+words+"\n }\n}\n")
	}
}

func wantAdaptError(t *testing.T, caddyfile string) {
	t.Helper()
	if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil); err == nil {
		t.Errorf("%s: got no error; want one", caddyfile)
	}
}
