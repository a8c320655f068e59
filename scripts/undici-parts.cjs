// The parts of undici that src/lib/http uses, in place of its index: that loads caches, mocks, proxies and a fetch, three
// quarters of it, which every start and the memory at rest would pay for.
// As undici's index does it.
require('undici/lib/dispatcher/dispatcher').prototype.request = require('undici/lib/api/api-request');

module.exports = {
  Agent: require('undici/lib/dispatcher/agent'),
  Pool: require('undici/lib/dispatcher/pool'),
  buildConnector: require('undici/lib/core/connect'),
  errors: require('undici/lib/core/errors'),
  interceptors: { redirect: require('undici/lib/interceptor/redirect') },
};
