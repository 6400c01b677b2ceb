/** Loads what is installed in bench/node_modules; the rest is skipped with one notice each. */
export function createRivals(log) {
  const known = new Map();
  return async function rival(name) {
    if (!known.has(name)) {
      try {
        const module = await import(name);
        known.set(name, module.default ?? module);
      } catch (error) {
        if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
        log(`notice: ${name} is not installed, so it is left out (npm ci --prefix bench)`);
        known.set(name, undefined);
      }
    }
    return known.get(name);
  };
}
