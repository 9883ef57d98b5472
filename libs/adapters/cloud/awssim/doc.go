// Package awssim speaks AWS over a simulated world: it answers the HTTP requests of any
// AWS client as ECS, EC2, Auto Scaling, SSM, SQS, EventBridge, Pricing, Savings Plans and STS
// would, from one [sim.World]. [Operations] lists what is answered.
//
// # What a client sees
//
// All services are on one port. A request goes to the service and operation that its
// X-Amz-Target header names (ECS, SSM, EventBridge and Pricing speak awsJson1.1, SQS
// awsJson1.0) or its Action and Version parameters (EC2 and STS speak query/XML, and so does
// SQS to older clients). It must be signed, with any key: the form
// of the Authorization header and the service of its scope are checked, the signature is
// not. Point a client at it with AWS_ENDPOINT_URL. Errors have the codes, statuses and
// bodies of the service that gives them; every answer has a request ID.
//
// # Time
//
// The world has a clock of its own. It runs Speed times as fast as the wall clock, and the
// Date header of every answer, like every timestamp, is its time: clients that take "now"
// from AWS, as Neap does, notice nothing. A header Neap-Clock-Speed says how fast it runs, so
// that they can carry it on until the next answer. Rate limits refill in it and long polls
// wait in it.
//
// # The side door
//
// Paths under /_neap/ are not AWS, need no signature, and let tests and people play:
//
//	GET  /_neap/                                these paths, a line each
//	GET  /_neap/operations                      the operations that are simulated
//	GET  /_neap/healthz                         200 and {"ok":true} as soon as it serves
//	GET  /_neap/state                           what is really so, as JSON (sim.Truth)
//	POST /_neap/script                          statements of the language of package sim, as text
//	GET  /_neap/limits                          the API rate limits and how full their buckets are
//	GET  /_neap/outages                         the outages there are, and what they hit
//	GET  /_neap/time                            {"now":…,"speed":…}
//	POST /_neap/time {"speed":60,"advance":"5m"}   change the speed, jump ahead; both optional
//	GET  /_neap/save                            the whole world, as a file
//	POST /_neap/load                            replace the world by such a file
//	GET  /_neap/history?after=N&limit=N         what happened, as lines of JSON, if it is kept
//
// Scripts turn rate limits on and scale them (throttle), and let calls fail, hang, get lost or
// take long (outage, slow).
//
// Errors of the side door are {"error":"…"} with status 400, 404 or 413. Anyone who
// reaches the port may use it: listen on a loopback address.
package awssim
