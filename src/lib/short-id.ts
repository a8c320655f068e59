/** The first twelve digits of a container's ID, by which Docker's own commands show it. */
export const shortId = (id: string) => id.slice(0, 12);
