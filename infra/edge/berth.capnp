# workerd on a machine of one's own: `npm run build:edge`, then
#   workerd serve infra/edge/berth.capnp
# with the variables of docs/edge.md in its environment. It has no cron calls: the pass, the webhooks and the offers are
# a server's on Node.
using Workerd = import "/workerd/workerd.capnp";
using Built = import "../../dist/edge/workerd/modules.capnp";

const config :Workerd.Config = (
  services = [
    (name = "berth", worker = .berth),
    # What the function may reach. Webhooks and registries go where tenants say, so private addresses stay closed but for those that it
    # needs itself: add the database's, as "10.0.0.5/32", and the object store's where they are private.
    (name = "internet", network = (allow = ["public"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "berth")],
);

const berth :Workerd.Worker = (
  modules = Built.modules,
  # From this date on a module is compiled when it is first imported, and not at the start.
  compatibilityDate = "2026-11-17",
  bindings = [
    (name = "BERTH_DATABASE_URL", fromEnvironment = "BERTH_DATABASE_URL"),
    (name = "BERTH_SECRET_KEY", fromEnvironment = "BERTH_SECRET_KEY"),
    (name = "BERTH_PUBLIC_URL", fromEnvironment = "BERTH_PUBLIC_URL"),
    (name = "BERTH_ROLES", fromEnvironment = "BERTH_ROLES"),
    (name = "BERTH_OBJECT_STORE", fromEnvironment = "BERTH_OBJECT_STORE"),
    (name = "BERTH_OBJECT_STORE_ENDPOINT", fromEnvironment = "BERTH_OBJECT_STORE_ENDPOINT"),
    (name = "BERTH_OBJECT_STORE_REGION", fromEnvironment = "BERTH_OBJECT_STORE_REGION"),
    (name = "BERTH_OBJECT_STORE_KEY_ID", fromEnvironment = "BERTH_OBJECT_STORE_KEY_ID"),
    (name = "BERTH_OBJECT_STORE_SECRET", fromEnvironment = "BERTH_OBJECT_STORE_SECRET"),
    (name = "BERTH_OBJECT_STORE_PATH_STYLE", fromEnvironment = "BERTH_OBJECT_STORE_PATH_STYLE"),
    (name = "BERTH_ALLOW_PRIVATE_TARGETS", fromEnvironment = "BERTH_ALLOW_PRIVATE_TARGETS"),
    (name = "BERTH_RATE_LIMIT", fromEnvironment = "BERTH_RATE_LIMIT"),
    (name = "BERTH_SSE_MAX_S", fromEnvironment = "BERTH_SSE_MAX_S"),
    (name = "BERTH_IMAGE_BACKTEST", fromEnvironment = "BERTH_IMAGE_BACKTEST"),
    (name = "BERTH_IMAGE_TRAINING", fromEnvironment = "BERTH_IMAGE_TRAINING"),
    (name = "BERTH_SMTP_URL", fromEnvironment = "BERTH_SMTP_URL"),
    (name = "BERTH_MAIL_FROM", fromEnvironment = "BERTH_MAIL_FROM"),
    (name = "BERTH_REGISTRATION", fromEnvironment = "BERTH_REGISTRATION"),
    (name = "BERTH_CORS_ORIGINS", fromEnvironment = "BERTH_CORS_ORIGINS"),
    (name = "BERTH_LOG_LEVEL", fromEnvironment = "BERTH_LOG_LEVEL"),
  ],
);
