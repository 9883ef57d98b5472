package cache

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/neap-project/neap/libs/adapters/service"
)

// Config says which Redis to use.
type Config struct {
	URL      string         `envconfig:"REDIS_URL" desc:"redis://[user@]host:6379/0, rediss:// for TLS, or unix://; empty runs without a cache"`
	Password service.Secret `envconfig:"REDIS_PASSWORD" desc:"password of the Redis user; mount it and set REDIS_PASSWORD_FILE"`
	CAFile   string         `envconfig:"REDIS_TLS_CA_FILE" desc:"PEM file of the authority that signed Redis' certificate"`
	CertFile string         `envconfig:"REDIS_TLS_CERT_FILE" desc:"PEM file of our client certificate, read anew at each connection"`
	KeyFile  string         `envconfig:"REDIS_TLS_KEY_FILE" desc:"PEM file of our client key, read anew at each connection"`
	Prefix   string         `envconfig:"REDIS_PREFIX" default:"neap:" desc:"what every key starts with"`
	Timeout  time.Duration  `envconfig:"REDIS_TIMEOUT" default:"100ms" desc:"longest wait for one answer; what takes longer is a miss"`
}

const (
	// dialTimeout is longer than a call's: connections are made in the background,
	// and a TLS handshake over a slow network still brings one for the next call.
	dialTimeout = 2 * time.Second
	// poolSize bounds what one process may ask of a shared Redis at once.
	poolSize = 16
)

// Validate refuses an address that could not work or would not be safe.
func (c Config) Validate() error {
	if c.URL == "" {
		return nil
	}
	_, err := c.options()
	return err
}

func (c Config) files() service.TLSFiles {
	return service.TLSFiles{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile}
}

// options translates without opening anything.
func (c Config) options() (*redis.Options, error) {
	if u, err := url.Parse(c.URL); err != nil {
		// The text may hold a password in a place where nobody can tell.
		return nil, service.Invalid("REDIS_URL", "[not a URL]", "use redis://host:6379/0")
	} else if _, secret := u.User.Password(); secret {
		return nil, service.Invalid("REDIS_URL", u.Redacted(), "keep the password out of it; use REDIS_PASSWORD_FILE")
	}
	o, err := redis.ParseURL(c.URL)
	if err != nil {
		return nil, service.Invalid("REDIS_URL", c.URL, fmt.Sprintf("%v; use redis://host:6379/0", err))
	}
	switch secure := o.TLSConfig != nil; {
	case secure && o.TLSConfig.InsecureSkipVerify:
		return nil, service.Invalid("REDIS_URL", c.URL, "remove skip_verify; set REDIS_TLS_CA_FILE to trust a private authority")
	case !secure && !c.files().Empty():
		return nil, service.Invalid("REDIS_URL", c.URL, "use rediss:// since REDIS_TLS_*_FILE are set")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return nil, service.Invalid("REDIS_TLS_CERT_FILE", c.CertFile, "set it and REDIS_TLS_KEY_FILE together, or neither")
	case c.Timeout <= 0:
		return nil, service.Invalid("REDIS_TIMEOUT", c.Timeout, "use a duration above zero, such as 100ms")
	}
	return c.harden(o), nil
}

// harden replaces the client's own ideas of waiting: a cache that is not there
// at once is not there.
func (c Config) harden(o *redis.Options) *redis.Options {
	o.Password = c.Password.Reveal()
	if o.TLSConfig != nil {
		o.Dialer = dialTLS(c.files(), o.TLSConfig.ServerName)
	}
	o.ContextTimeoutEnabled = true
	// After a failover a pooled connection may be dead without knowing it. All
	// tries together stay within the call's deadline.
	o.MaxRetries = 2
	o.MinRetryBackoff, o.MaxRetryBackoff = -1, -1
	o.DialTimeout = dialTimeout
	o.DialerRetries = 1
	o.PoolSize = poolSize
	o.PipelinePoolSize = -1 // every call is a pipeline; a second pool would double the bound
	o.PoolTimeout = c.Timeout
	o.ReadTimeout = c.Timeout
	o.WriteTimeout = c.Timeout
	// Our Redis user may use the cache's own commands only.
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}

// dialTLS reads the certificates at each connection, so that rotated ones are
// taken up without a restart.
func dialTLS(files service.TLSFiles, serverName string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		cfg, err := files.Client(serverName)
		if err != nil {
			return nil, err
		}
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: cfg}
		return dialer.DialContext(ctx, network, addr)
	}
}
