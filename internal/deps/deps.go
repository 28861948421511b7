// Package deps is temporary.
package deps

import (
	_ "github.com/DeRuina/timberjack"
	_ "github.com/gobwas/ws"
	_ "github.com/gobwas/ws/wsutil"
	_ "github.com/hashicorp/golang-lru/v2"
	_ "github.com/rs/xid"
	_ "github.com/stretchr/testify/assert"
	_ "github.com/stretchr/testify/require"
	_ "golang.org/x/net/idna"
	_ "golang.org/x/net/nettest"
	_ "golang.org/x/net/http/httpguts"
	_ "golang.org/x/net/publicsuffix"
	_ "golang.org/x/sync/singleflight"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/time/rate"
)
